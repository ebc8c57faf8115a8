package handlers

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"

	"apikeyd/gen"
)

// docsPolicy lets the docs page load from and call this server only. The data: images are the icons in
// the viewer's stylesheet.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const (
	javaScript = "text/javascript; charset=utf-8"
	styleSheet = "text/css; charset=utf-8"
)

//go:embed docs
var docsPage embed.FS

// registerDocs adds the contract as YAML and JSON, and a page to read and try it. All are public: they
// hold nothing that the source code does not.
func registerDocs(e *echo.Echo) error {
	all, err := documents()
	if err != nil {
		return err
	}
	for path, d := range all {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, d.serve)
	}
	return nil
}

// documents returns all documents by path. They are made once, for every Server.
var documents = sync.OnceValues(func() (map[string]*document, error) {
	all := map[string]*document{
		"/openapi.yaml": {contentType: "application/yaml", content: gen.Contract},
		"/openapi.json": {contentType: "application/json", content: gen.ContractJSON},
	}
	for _, file := range []struct {
		path, contentType string
		fsys              fs.FS
		name              string
	}{
		{"/docs", "text/html; charset=utf-8", docsPage, "docs/index.html"},
		{"/docs/page.js", javaScript, docsPage, "docs/page.js"},
		{"/docs/page.css", styleSheet, docsPage, "docs/page.css"},
		{"/docs/swagger-ui-bundle.js", javaScript, static.FS, "swagger-ui-bundle.js.gz"},
		{"/docs/swagger-ui.css", styleSheet, static.FS, "swagger-ui.css.gz"},
	} {
		content, err := fs.ReadFile(file.fsys, file.name)
		if err != nil {
			return nil, fmt.Errorf("reading the embedded docs page: %w", err)
		}
		all[file.path] = &document{
			contentType: file.contentType, content: content, gzipped: strings.HasSuffix(file.name, ".gz"),
		}
	}
	for _, d := range all {
		d.prepare()
	}
	return all, nil
})

// document is a file that never changes while the program runs.
type document struct {
	contentType string
	content     []byte
	gzipped     bool // content is compressed

	hash  string
	unzip func() ([]byte, error) // for the rare client that does not accept gzip
}

func (d *document) prepare() {
	sum := sha256.Sum256(d.content)
	d.hash = hex.EncodeToString(sum[:16])
	d.unzip = sync.OnceValues(func() ([]byte, error) {
		reader, err := gzip.NewReader(bytes.NewReader(d.content))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(reader)
	})
}

func (d *document) serve(c echo.Context) error {
	content, tag := d.content, `"`+d.hash+`"`
	header := c.Response().Header()
	if d.gzipped {
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(c.Request().Header.Get("Accept-Encoding")) {
			header.Set("Content-Encoding", "gzip")
		} else {
			var err error
			if content, err = d.unzip(); err != nil {
				return fmt.Errorf("decompressing an embedded file: %w", err)
			}
			tag = `"` + d.hash + `-plain"`
		}
	}
	header.Set("ETag", tag)
	header.Set("Cache-Control", "no-cache") // caches must revalidate
	header.Set("Content-Security-Policy", docsPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	if namesTag(c.Request().Header.Get("If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	header.Set("Content-Length", strconv.Itoa(len(content))) // for HEAD too
	return c.Blob(http.StatusOK, d.contentType, content)
}

// acceptsGzip reports whether an Accept-Encoding header accepts gzip (RFC 9110, section 12.5.3).
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, weight, weighted := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return !weighted || err == nil && q > 0
	}
	return false
}

// namesTag reports whether an If-None-Match header has the tag (RFC 9110, section 13.1.2).
func namesTag(header, tag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		item = strings.TrimSpace(item)
		if item == "*" || strings.TrimPrefix(item, "W/") == tag {
			return true
		}
	}
	return false
}
