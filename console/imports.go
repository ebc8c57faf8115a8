package console

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/importfile"
)

const (
	// maxImportFile bounds a file of keys to import: the page that reports about it carries it, encrypted.
	maxImportFile = 64 << 10
	// maxImportRows bounds its rows, so that an import ends before a page times out.
	maxImportRows = 1000
	// shownImportRows is how many rows a report shows.
	shownImportRows = 200
	// importPurpose is what an encrypted file is for.
	importPurpose = "import "
)

// withImport wraps a handler for readers whose key may import keys.
func withImport(h handler) handler {
	return func(v *visit) error {
		if !v.may(apikey.ScopeAdmin) {
			return v.refuseScope(apikey.ScopeAdmin, "Import", "An import creates keys of any owner. Your key may not do that:")
		}
		return h(v)
	}
}

// importForm is the page on which a file of keys is chosen. What the file holds is never shown.
type importForm struct {
	From, Owner, Ends string
	Presets           []preset
	Problem           string
}

// importSource is a format that a file may have.
type importSource struct{ Name, Words string }

// Sources are the choices.
func (importForm) Sources() []importSource {
	return []importSource{
		{"csv", "apikeyd's own columns"}, {"unkey", "Unkey"}, {"better-auth", "Better Auth"}, {"litellm", "LiteLLM"}, {"kong", "Kong"},
	}
}

func (f importForm) show(v *visit, status int) error {
	f.Presets = v.presets()
	v.show(status, "import", "Import keys", f)
	return nil
}

func showImport(v *visit) error { return importForm{From: "csv"}.show(v, http.StatusOK) }

// importOrder is an import as the report of its dry run carries it. It is encrypted, because the file holds secrets.
type importOrder struct {
	From, Owner string
	End         time.Time // of keys whose row has none; zero if such rows fail
	File        []byte    // compressed
}

// importReport is the page that says what became of each row, or would.
type importReport struct {
	DryRun  bool
	Rows    []client.ImportedRow // those that failed first
	Counts  map[client.ImportOutcome]int
	Lost    []lostField
	Order   string // encrypted, for the import after a dry run
	Problem string // why it ended early
}

// lostField is a field of another service that cannot be taken over.
type lostField struct {
	Name string
	Rows string
}

// Total is how many rows there are.
func (p importReport) Total() (n int) {
	for _, count := range p.Counts {
		n += count
	}
	return n
}

// Count returns how many rows have an outcome.
func (p importReport) Count(outcome string) int { return p.Counts[client.ImportOutcome(outcome)] }

// Failed is how many rows are not imported.
func (p importReport) Failed() int {
	return p.Counts[client.ImportConflict] + p.Counts[client.ImportInvalid]
}

// Hidden is how many rows are not shown.
func (p importReport) Hidden() int { return p.Total() - len(p.Rows) }

// importKeys does a dry run of a file, or the import after it.
func importKeys(v *visit) error {
	if sealed := v.form.Get("order"); sealed != "" {
		var order importOrder
		if !v.sealer.open(importPurpose+v.session.ID, sealed, &order) {
			return importForm{From: "csv", Problem: "The dry run before belongs to another session. Choose the file again."}.show(v, http.StatusBadRequest)
		}
		file, err := unzipped(order.File)
		if err != nil {
			return err
		}
		return v.showImported(order, file, false)
	}
	if !v.uploads() {
		return importForm{From: "csv", Problem: "Choose a file, or paste its text."}.show(v, http.StatusBadRequest)
	}
	form, err := v.r.MultipartReader()
	if err != nil {
		return errBadForm
	}
	fields, err := readUpload(form)
	if err != nil {
		return errBadForm
	}
	f := importForm{From: fields["from"], Owner: apikey.WithoutSecrets(strings.TrimSpace(fields["owner"])), Ends: fields["expires"]}
	order := importOrder{From: f.From, Owner: f.Owner}
	for _, p := range v.presets() {
		if p.Value == f.Ends {
			order.End = v.now.Add(p.Lifetime)
		}
	}
	text := fields["file"] + fields["text"]
	switch {
	case !importfile.Known(f.From):
		f.Problem = "Choose the file's format."
	case strings.TrimSpace(text) == "":
		f.Problem = "Choose a file, or paste its text."
	case fields["file"] != "" && strings.TrimSpace(fields["text"]) != "":
		f.Problem = "There are both a file and a text. Choose the file again, or paste the text, but not both."
	case len(text) > maxImportFile:
		f.Problem = "The console takes up to 64 KiB at once. Split the file, or use the command apikeyd import, which takes any size."
	}
	if f.Problem != "" {
		return f.show(v, http.StatusBadRequest)
	}
	if order.File, err = zipped(text); err != nil {
		return err
	}
	return v.showImported(order, []byte(text), true)
}

// readUpload reads the fields of a form with a file. The whole request is bounded already.
func readUpload(form *multipart.Reader) (map[string]string, error) {
	fields := make(map[string]string)
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return fields, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		fields[part.FormName()] += string(content)
	}
}

// showImported imports a file, or does a dry run, and shows the report.
func (v *visit) showImported(order importOrder, file []byte, dryRun bool) error {
	f := importForm{From: order.From, Owner: order.Owner}
	rows, err := importfile.Read(bytes.NewReader(file))
	if err != nil {
		f.Problem = "Nothing was imported. " + sentence(err.Error())
		return f.show(v, http.StatusBadRequest)
	}
	p := importReport{DryRun: dryRun, Counts: make(map[client.ImportOutcome]int)}
	run := importfile.Run{
		Client: v.api, From: order.From, Owner: order.Owner, ExpiresAt: order.End, NoEnd: "choose an expiry for such rows, or add it to the file",
		DryRun: dryRun, Now: v.now,
		Done: func(row client.ImportedRow) error {
			p.Counts[row.Outcome]++
			p.Rows = append(p.Rows, row)
			if len(p.Rows) > maxImportRows {
				return errTooManyRows
			}
			return nil
		},
	}
	err = run.All(v.ctx(), rows, nil)
	if refusal, ok := errors.AsType[*client.Error](err); ok && (refusal.Status == http.StatusUnauthorized || len(p.Rows) == 0) {
		return err
	}
	if err != nil && (len(p.Rows) == 0 || dryRun) {
		f.Problem = "Nothing was imported. " + sentence(err.Error())
		return f.show(v, http.StatusBadRequest)
	}
	if err != nil {
		p.Problem = "The import is incomplete. " + sentence(err.Error()) + " Import the same file again to continue: each secret is imported once."
	}
	if dryRun && p.Counts[client.ImportCreated] > 0 {
		p.Order = v.sealer.seal(importPurpose+v.session.ID, order)
	}
	p.finish(run.Lost)
	title := "Imported keys"
	if dryRun {
		title = "What an import would do"
	}
	v.show(http.StatusOK, "imported", title, p)
	return nil
}

var errTooManyRows = errors.New("the console takes up to 1,000 rows at once: split the file, or use the command apikeyd import, which takes any number")

// finish puts the rows that failed first, and bounds the report.
func (p *importReport) finish(lost map[string]int) {
	failed := func(row client.ImportedRow) int {
		if row.Outcome == client.ImportConflict || row.Outcome == client.ImportInvalid {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(p.Rows, func(a, b client.ImportedRow) int {
		if failed(a) != failed(b) {
			return failed(a) - failed(b)
		}
		return a.Row - b.Row
	})
	p.Rows = p.Rows[:min(len(p.Rows), shownImportRows)]
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		p.Lost = append(p.Lost, lostField{name, plural(lost[name], "row")})
	}
}

func zipped(text string) ([]byte, error) {
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	if _, err := io.WriteString(w, text); err != nil {
		return nil, err
	}
	err := w.Close()
	return small.Bytes(), err
}

func unzipped(small []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(small))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxImportFile))
}
