package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"apikeyd/apikey"
	"apikeyd/store/sqlstore"
)

// doctorCommand looks for what is wrong, with the flags and the environment of serve.
type doctorCommand struct {
	serveCommand
	JSON   bool `name:"json" help:"Print JSON."`
	Repair bool `help:"Recount the keys if key_counts is wrong, in one transaction; a server may run meanwhile."`
}

// Help says more than the flags do.
func (doctorCommand) Help() string {
	return `Takes the settings of serve, to check what serve would use. It only reads (except with --repair), and a server may run
meanwhile. A million keys take some seconds. It exits with 1 if a check failed; warnings do not count.

Examples:
  apikeyd doctor --database /var/lib/apikeyd/apikeyd.db
  apikeyd doctor --json | jq '.checks[] | select(.status != "ok")'`
}

// Validate refuses only what keeps it from looking. The rest is a finding.
func (c *doctorCommand) Validate() error { return errors.Join(c.databaseFlag.Validate(), c.file()) }

// severity is how bad a finding is.
type severity string

// The severities, from good to bad.
const (
	healthy severity = "ok"
	warning severity = "warning"
	failed  severity = "FAILED"
)

// finding is what a check found, and what to do about it.
type finding struct {
	Check  string   `json:"check"`
	Status severity `json:"status"`
	Found  string   `json:"found"`
	ToDo   string   `json:"to_do,omitempty"`
}

// check is one thing that the doctor looks at.
type check struct {
	name string
	look func(context.Context) finding
}

func found(format string, args ...any) finding {
	return finding{Status: healthy, Found: fmt.Sprintf(format, args...)}
}

func (f finding) warn(toDo string) finding {
	f.Status, f.ToDo = warning, toDo
	return f
}

func (f finding) fail(toDo string) finding {
	f.Status, f.ToDo = failed, toDo
	return f
}

// errUnwell is the exit status of a doctor that found failures; they were told.
var errUnwell = errors.New("something failed; see above")

// Run makes all checks and reports to standard output.
func (c *doctorCommand) Run(ctx context.Context, s streams) error {
	findings := runChecks(ctx, c.outside())
	e, err := sqlstore.Examine(ctx, c.Database)
	if err != nil {
		unreadable := check{"database", func(context.Context) finding { return c.unreadable(err) }}
		findings = append(findings, runChecks(ctx, []check{unreadable})...)
	} else {
		findings = append(findings, runChecks(ctx, c.inside(e))...)
		if err := e.Close(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return errors.New("interrupted")
	}
	if err := write(s.out, findings, c.JSON); err != nil {
		return err
	}
	if slices.ContainsFunc(findings, func(f finding) bool { return f.Status == failed }) {
		return errUnwell
	}
	return nil
}

func runChecks(ctx context.Context, checks []check) []finding {
	findings := make([]finding, 0, len(checks))
	for _, check := range checks {
		f := check.look(ctx)
		f.Check, f.Found = check.name, apikey.Redact(f.Found) // a secret typed in the wrong place
		findings = append(findings, f)
	}
	return findings
}

// outside are the checks of what is around the database.
func (c *doctorCommand) outside() []check {
	return []check{
		{"configuration", c.checkConfiguration},
		{"certificate", c.checkCertificate},
		{"files", c.checkFiles},
		{"admin key", c.checkAdminKey},
		{"server", c.checkServer},
		{"file system", c.checkFileSystem},
		{"disk space", c.checkDiskSpace},
		{"open files", checkOpenFiles},
	}
}

// inside are the checks of the database itself. More of them go here.
func (c *doctorCommand) inside(e *sqlstore.Examination) []check {
	return []check{
		{"schema", look(e, checkSchema)},
		{"settings", look(e, checkSettings)},
		{"integrity", look(e, checkIntegrity)},
		{"keys", look(e, ofThisSchema(checkKeys))},
		{"key counts", look(e, ofThisSchema(c.checkCounts))},
		{"audit log", look(e, ofThisSchema(checkAudit))},
		{"restore", look(e, ofThisSchema(c.checkRestored))},
		{"clock", look(e, checkClock)},
	}
}

func look(e *sqlstore.Examination, check func(context.Context, *sqlstore.Examination) finding) func(context.Context) finding {
	return func(ctx context.Context) finding { return check(ctx, e) }
}

func write(w io.Writer, findings []finding, asJSON bool) error {
	if asJSON {
		worst := healthy
		for _, f := range findings {
			if f.Status == failed || f.Status == warning && worst == healthy {
				worst = f.Status
			}
		}
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(struct {
			Status severity  `json:"status"` // the worst of all
			Checks []finding `json:"checks"`
		}{worst, findings})
	}
	for _, f := range findings {
		line := fmt.Sprintf("%-8s %-14s %s", f.Status, f.Check, f.Found)
		if f.ToDo != "" {
			line += "; " + f.ToDo
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
