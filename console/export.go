package console

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// exportWriteTimeout is how long the browser may take for each page of an export. The whole export
// may take longer than other answers.
const exportWriteTimeout = 15 * time.Second

// exportPageSize is the number of events in each request: the API's maximum.
const exportPageSize = 100

// exportFormats are the file formats, by the query parameter.
var exportFormats = map[string]struct {
	mediaType, suffix string
	encoder           func(*bytes.Buffer) func(client.AuditEvent) error
}{
	"":    {"application/x-ndjson", "jsonl", jsonLinesEncoder},
	"csv": {"text/csv; charset=utf-8; header=present", "csv", csvEncoder},
}

// exportAudit sends all events that match the filters, newest first, page by page. If it fails in
// the middle, it cuts the connection, so that a part does not pass for the whole.
func exportAudit(v *visit) error {
	if !v.may(apikey.ScopeAdmin) {
		return v.refuseAudit()
	}
	format, ok := exportFormats[v.form.Get("format")]
	if !ok {
		return errNotFound
	}
	f := v.auditFilter()
	o, problems := f.options()
	if len(problems) > 0 {
		return v.redirect(f.address("/audit")) // that page shows them
	}
	o.PageSize = exportPageSize
	page, err := v.exportPage(o)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", format.mediaType)
	v.w.Header().Set("Content-Disposition",
		`attachment; filename="audit-`+v.now.UTC().Format("20060102T150405Z")+"."+format.suffix+`"`)
	var out bytes.Buffer
	encode := format.encoder(&out)
	for {
		if err = sendEvents(v.w, &out, encode, page.Events); err != nil || page.Next == "" {
			break
		}
		o.Before = page.Next
		if page, err = v.exportPage(o); err != nil {
			break
		}
	}
	if err != nil {
		v.Log.Warn("an export of the audit log was cut off", "error", apikey.Redact(err.Error()))
		panic(http.ErrAbortHandler)
	}
	return nil
}

// exportPage requests a page. Each page has its own timeout and is not cancelled if the browser
// disconnects; that shows when the page is sent.
func (v *visit) exportPage(o client.AuditOptions) (client.AuditPage, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.ctx()), visitTimeout)
	defer cancel()
	return v.api.AuditPage(ctx, o)
}

func sendEvents(
	w http.ResponseWriter, out *bytes.Buffer, encode func(client.AuditEvent) error, events []client.AuditEvent,
) error {
	for _, e := range events {
		if err := encode(e); err != nil {
			return err
		}
	}
	// Deadlines of connections use the system's clock.
	deadline := time.Now().Add(exportWriteTimeout)
	if err := http.NewResponseController(w).SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := out.WriteTo(w)
	return err
}

func jsonLinesEncoder(out *bytes.Buffer) func(client.AuditEvent) error {
	return func(e client.AuditEvent) error {
		line, err := keyfield.JSON(e, jsontext.EscapeForJS(true))
		if err != nil {
			return err
		}
		_, err = out.Write(append(line, '\n'))
		return err
	}
}

// csvEncoder writes CSV (RFC 4180), with the changes as JSON.
func csvEncoder(out *bytes.Buffer) func(client.AuditEvent) error {
	table := csv.NewWriter(out)
	table.UseCRLF = true
	header := []string{"id", "at", "action", "key_id", "owner", "name", "changes", "actor", "via", "address", "request_id"}
	_ = table.Write(header) // cannot fail: it writes to memory
	// Escape what other readers take for separators. The cell stays valid JSON.
	separators := strings.NewReplacer(";", `\u003b`, "|", `\u007c`)
	return func(e client.AuditEvent) error {
		changes, err := keyfield.JSON(e.Changes, jsontext.EscapeForHTML(true), jsontext.EscapeForJS(true))
		if err != nil {
			return err
		}
		escaped := separators.Replace(string(changes))
		row := []string{
			e.ID, apikey.Timestamp(e.At).String(), string(e.Action), e.KeyID, escapeFormulas(e.Owner), escapeFormulas(e.Name), escaped,
			escapeFormulas(e.Actor), escapeFormulas(e.Via), e.Address, e.RequestID,
		}
		err = table.Write(row)
		table.Flush()
		return errors.Join(err, table.Error())
	}
}

// formulaStart matches what a spreadsheet may take for the start of a formula (OWASP, CSV
// Injection): at the start of a text, or after a character that some readers treat as a separator.
// Full-width signs count too.
var formulaStart = regexp.MustCompile("(^|[;,|\t\r\n])([\"'\\s\uFEFF]*)([=+\\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20])")

// escapeFormulas puts an apostrophe before each possible start of a formula.
func escapeFormulas(cell string) string { return formulaStart.ReplaceAllString(cell, "$1$2'$3") }
