package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/basepath"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates are the pages by name, each with the layout.
type templates map[string]*template.Template

func loadTemplates(a assets) (templates, error) {
	functions := template.FuncMap{
		"reason":  reasonText,
		"asset":   func(name string) string { return a[name].address },
		"grouped": grouped,
	}
	// Files that begin with an underscore are shared by all pages.
	shared, err := template.New("").Funcs(functions).ParseFS(templateFiles, "templates/_*.html")
	if err != nil {
		return nil, err
	}
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	all := make(templates)
	for _, file := range files {
		if strings.HasPrefix(file.Name(), "_") {
			continue
		}
		page, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if page, err = page.ParseFS(templateFiles, "templates/"+file.Name()); err != nil {
			return nil, err
		}
		all[strings.TrimSuffix(file.Name(), path.Ext(file.Name()))] = page
	}
	return all, nil
}

// view is the data of the layout around a page.
type view struct {
	Title  string
	Me     client.Key // the reader's key; zero if not signed in
	Here   string     // the part of the console that the page belongs to
	Notice notice     // what was just done
	Page   any

	visit *visit
}

// SignedIn reports whether the reader is signed in.
func (p view) SignedIn() bool { return p.Me.ID != "" }

// Warnings returns the warnings for signed-in readers.
func (p view) Warnings() []string {
	if p.visit.Warnings == nil || !p.SignedIn() || p.ByLink() {
		return nil
	}
	var sentences []string
	for _, warning := range p.visit.Warnings() {
		sentences = append(sentences, sentence(warning))
	}
	return sentences
}

// ByLink reports whether the reader came by an owner link.
func (p view) ByLink() bool { return p.visit.byLink() }

// Brand is what the pages are called.
func (p view) Brand() string {
	if p.ByLink() {
		return p.visit.Links.title()
	}
	return "apikeyd"
}

// HasLogo reports whether the operator has set a logo.
func (p view) HasLogo() bool { return p.visit.Links.Logo != nil }

// Return is the address that people who came by a link go back to.
func (p view) Return() string { return p.visit.Links.Return }

// May reports whether the reader's key has a scope of the API.
func (p view) May(scope string) bool { return p.visit.may(scope) }

// When returns a time as pages show it.
func (p view) When(at time.Time) moment { return momentOf(at, p.visit.now) }

// show answers with a page.
func (v *visit) show(status int, name, title string, page any) {
	part := "overview"
	if below, ok := strings.CutPrefix(v.r.URL.Path, Path+"/"); ok {
		part, _, _ = strings.Cut(below, "/")
	}
	p := view{Title: title, Me: v.me, Here: part, Page: page, visit: v}
	if p.SignedIn() && !v.polls() {
		p.Notice = v.takeNotice()
	}
	var html bytes.Buffer
	if err := v.templates[name].ExecuteTemplate(&html, "layout", p); err != nil {
		v.Log.Error("the console failed", "path", apikey.Redact(v.r.URL.Path), "error", apikey.Redact(err.Error()))
		http.Error(v.w, "The console failed. See the server's log.", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(below(basepath.Of(v.ctx()), html.Bytes())) // the browser may have gone
}

// ownAddress matches the start of an address of this server in a page. Nobody's text matches: templates escape quotes.
var ownAddress = regexp.MustCompile(`( (?:href|src|action|formaction|hx-get|hx-post)=")/`)

// below returns a page for a server below a base path. Templates and links are written for the root, so
// that none can forget the base path.
func below(base string, page []byte) []byte {
	if base == "" {
		return page
	}
	return ownAddress.ReplaceAll(page, []byte("${1}"+base+"/"))
}

// sentence turns a message of the API into a sentence.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if text == "" {
		return ""
	}
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
