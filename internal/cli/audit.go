package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/auditline"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// defaultChain is the only chain of a SQLite database, whose writers take turns.
const defaultChain = "main"

// auditCommands read the audit log in the database. A server may run meanwhile.
type auditCommands struct {
	Verify verifyAuditCommand `cmd:"" help:"Find what was altered, removed or inserted in the audit log."`
	Export exportAuditCommand `cmd:"" help:"Print the audit log as JSON lines, oldest first."`
}

type verifyAuditCommand struct {
	databaseFlag
	Expect   []expectedMark `sep:"none" placeholder:"SEQ:HASH" help:"A head that you noted earlier, as this command prints it, which must still be part of the chain. Repeat the flag for several; CHAIN:SEQ:HASH names a chain other than main."`
	Received string         `placeholder:"FILE" help:"What a receiver of webhooks has kept, one body or its data per line: nothing may be missing between its first and last event of a chain, and all of it must be part of the log."`
}

// Help is the longer text of --help.
func (*verifyAuditCommand) Help() string {
	return `It changes nothing and blocks no server. Exit status 1 means that the log was altered.

A chain without an outside anchor proves little: anyone who can write to the file can also recompute the whole chain. So note the head elsewhere from time to time, and pass it to a later run with --expect.

Examples:
  apikeyd audit verify --database keys.db
  apikeyd audit verify --database keys.db --received webhooks.jsonl
  apikeyd audit verify --database keys.db --expect 1234:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
}

// Run verifies all chains.
func (c *verifyAuditCommand) Run(ctx context.Context, s streams) error {
	var expected []store.Mark
	for _, mark := range c.Expect {
		expected = append(expected, store.Mark(mark))
	}
	var theirs received
	if c.Received != "" {
		var err error
		if theirs, err = readReceived(c.Received); err != nil {
			return err
		}
		expected = append(expected, theirs.marks()...)
	}
	db, err := openStore(ctx, c.Database)
	if err != nil {
		return err
	}
	reports, err := db.VerifyAudit(ctx, expected...)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if c.Received != "" {
		fmt.Fprintf(s.out, "received: %d events\n", len(theirs.events))
	}
	for _, fault := range theirs.faults {
		fmt.Fprintln(s.out, "  FAULT:", printable(fault))
	}
	faults := len(theirs.faults)
	for _, report := range reports {
		writeChainReport(s.out, report)
		faults += len(report.Faults)
	}
	if faults > 0 {
		return sqlstore.ErrAltered
	}
	for _, mark := range expected {
		fmt.Fprintf(s.out, "event %d of chain %s is the one that was expected\n", mark.Seq, mark.Chain)
	}
	return nil
}

// expectedMark is a chain's head that was noted earlier.
type expectedMark store.Mark

// UnmarshalText reads SEQ:HASH or CHAIN:SEQ:HASH.
func (m *expectedMark) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), ":")
	if len(parts) == 2 {
		parts = append([]string{defaultChain}, parts...)
	}
	malformed := errors.New("must be SEQ:HASH, as audit verify prints a head")
	if len(parts) != 3 || parts[0] == "" {
		return malformed
	}
	seq, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || seq < 0 {
		return malformed
	}
	hash, err := auditline.ParseHash(parts[2])
	if err != nil {
		return malformed
	}
	m.Chain, m.Seq, m.Hash = parts[0], seq, hash
	return nil
}

func writeChainReport(w io.Writer, r store.ChainReport) {
	fmt.Fprintf(w, "chain %s: %d events", printable(r.Head.Chain), r.Events)
	if r.Anchor.Seq > 0 {
		fmt.Fprintf(w, ", from its anchor: those up to %d were removed by retention, the last at %s",
			r.Anchor.Seq, apikey.Timestamp(r.AnchoredAt))
	}
	fmt.Fprintln(w)
	for _, fault := range r.Faults {
		fmt.Fprintln(w, "  FAULT:", fault)
	}
	if r.Anchor.Seq > 0 {
		fmt.Fprintf(w, "  anchor %d:%s\n", r.Anchor.Seq, r.Anchor.Hash)
	}
	fmt.Fprintf(w, "  head %d:%s\n", r.Head.Seq, r.Head.Hash)
}

type exportAuditCommand struct {
	databaseFlag
	Since *apikey.Timestamp `placeholder:"2026-01-31T00:00:00Z" help:"Only events at or after this time."`
}

// Help is the longer text of --help.
func (*exportAuditCommand) Help() string {
	return `Each line is an event as GET /v1/audit-events shows it, with its chain, sequence and hash. docs/audit.md describes the hash.

Examples:
  apikeyd audit export --database keys.db --since 2026-11-01T00:00:00Z | gzip > audit.jsonl.gz`
}

// Run prints all events.
func (c *exportAuditCommand) Run(ctx context.Context, s streams) error {
	if err := s.mustBeRead(); err != nil {
		return err
	}
	var since time.Time
	if c.Since != nil {
		since = c.Since.Time()
	}
	out := bufio.NewWriter(s.out)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	db, err := openStore(ctx, c.Database)
	if err != nil {
		return err
	}
	err = db.EachEvent(ctx, since, func(e store.Event) error { return encoder.Encode(auditline.Of(e)) })
	return errors.Join(err, out.Flush(), db.Close())
}
