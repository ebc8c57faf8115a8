package handlers_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"apikeyd/gen"
)

// docsTypes has the content types of the public paths outside the contract.
var docsTypes = map[string]string{
	"/openapi.yaml":              "application/yaml",
	"/openapi.json":              "application/json",
	"/docs":                      "text/html; charset=utf-8",
	"/docs/page.js":              "text/javascript; charset=utf-8",
	"/docs/page.css":             "text/css; charset=utf-8",
	"/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
	"/docs/swagger-ui.css":       "text/css; charset=utf-8",
}

// fetch reads a path as a browser does, without a key.
func (k *kit) fetch(method, path string, header http.Header) response {
	k.Helper()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("Accept-Encoding") == "" {
		header.Set("Accept-Encoding", "identity")
	}
	return k.do(request{method: method, path: path, header: header, outside: true})
}

func TestContractIsServed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	asYAML := k.fetch("GET", "/openapi.yaml", nil).want(200)
	if string(asYAML.raw) != string(gen.Contract) {
		k.Error("/openapi.yaml is not the contract, byte for byte")
	}
	var fromYAML, fromJSON any
	k.must(yaml.Unmarshal(gen.Contract, &fromYAML))
	asJSON := k.fetch("GET", "/openapi.json", nil).want(200)
	k.must(json.Unmarshal(asJSON.raw, &fromJSON))
	// By way of JSON, so that both have the same types of numbers.
	text, err := json.Marshal(fromYAML)
	k.must(err)
	k.must(json.Unmarshal(text, &fromYAML))
	if diff := cmp.Diff(fromYAML, fromJSON); diff != "" {
		k.Errorf("/openapi.json is not the contract (-yaml +json):\n%s", diff)
	}
	if again := newKit(t).fetch("GET", "/openapi.json", nil); string(again.raw) != string(asJSON.raw) {
		k.Error("/openapi.json differs from one start to the next")
	}
	order := []string{`"openapi"`, `"info"`, `"paths"`, `"createApiKey"`, `"listApiKeys"`, `"components"`}
	last := -1
	for _, word := range order {
		at := strings.Index(string(asJSON.raw), word)
		if at <= last {
			k.Errorf("%s is not where the contract has it", word)
		}
		last = at
	}
}

func TestDocsHeaders(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for path, contentType := range docsTypes {
		k.Run(path, func(k *kit) {
			answer := k.fetch("GET", path, nil).want(200)
			for name, want := range map[string]string{
				"Content-Type":           contentType,
				"Content-Length":         strconv.Itoa(len(answer.raw)),
				"Cache-Control":          "no-cache",
				"X-Content-Type-Options": "nosniff",
				"Referrer-Policy":        "no-referrer",
			} {
				if got := answer.header.Get(name); got != want {
					k.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if answer.header.Get("X-Request-Id") == "" {
				k.Error("no X-Request-Id")
			}
			policy := answer.header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
				if !strings.Contains(policy, part+";") && !strings.HasSuffix(policy, part) {
					k.Errorf("the policy %q lacks %s", policy, part)
				}
			}
			if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "http") {
				k.Errorf("the policy %q is too weak", policy)
			}
			head := k.fetch("HEAD", path, nil).want(200)
			if len(head.raw) > 0 {
				k.Error("HEAD has a body")
			}
			for _, name := range []string{"Content-Type", "Content-Length", "ETag", "Cache-Control"} {
				if got, want := head.header.Get(name), answer.header.Get(name); got != want {
					k.Errorf("HEAD: %s is %q, GET has %q", name, got, want)
				}
			}
			k.do(request{method: "POST", path: path, body: "{}"}).refused(405, "METHOD_NOT_ALLOWED")
		})
	}
}

func TestDocsRevalidate(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	seen := map[string]string{}
	for path := range docsTypes {
		k.Run(path, func(k *kit) {
			tag := k.fetch("GET", path, nil).want(200).header.Get("ETag")
			if other, taken := seen[tag]; taken || !strings.HasPrefix(tag, `"`) {
				k.Fatalf("the tag %s is no tag of its own (%s)", tag, other)
			}
			seen[tag] = path
			for _, row := range []struct {
				name, header string
				status       int
			}{
				{"the same", tag, 304},
				{"weak", "W/" + tag, 304},
				{"one of several", `"x", ` + tag + `,"y"`, 304},
				{"any", "*", 304},
				{"another", `"x"`, 200},
				{"without quotes", strings.Trim(tag, `"`), 200},
			} {
				for _, method := range []string{"GET", "HEAD"} {
					answer := k.fetch(method, path, http.Header{"If-None-Match": {row.header}}).want(row.status)
					if row.status == 304 && (len(answer.raw) > 0 || answer.header.Get("ETag") != tag) {
						k.Errorf("%s, %s: a 304 with %d bytes and tag %s", method, row.name, len(answer.raw), answer.header.Get("ETag"))
					}
				}
			}
		})
	}
}

func TestDocsCompression(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const path = "/docs/swagger-ui-bundle.js"
	plain := k.fetch("GET", path, nil).want(200)
	for accept, zipped := range map[string]bool{
		"gzip":                    true,
		"br, GZIP;q=0.5":          true,
		"deflate, gzip ; q=1.0":   true,
		"identity":                false,
		"gzip;q=0":                false,
		"gzip;q=0.000, identity":  false,
		"gzip;q=much":             false,
		"x-gzip-like":             false,
		"br;q=1.0, deflate;q=0.5": false,
	} {
		k.Run(accept, func(k *kit) {
			answer := k.fetch("GET", path, http.Header{"Accept-Encoding": {accept}}).want(200)
			if got := answer.header.Get("Content-Encoding") == "gzip"; got != zipped {
				k.Errorf("compressed: %t, want %t", got, zipped)
			}
			if got := answer.header.Get("ETag") != plain.header.Get("ETag"); got != zipped {
				k.Error("two encodings have one tag")
			}
			if answer.header.Get("Vary") != "Accept-Encoding" {
				k.Errorf("Vary is %q", answer.header.Get("Vary"))
			}
		})
	}
}

func TestDocsUnknownPaths(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, path := range []string{
		"/docs/", "/docs/index.html", "/docs/swagger-ui.js", "/docs/swagger-ui.css.gz", "/docs/../openapi.yaml",
		"/docs/%2e%2e/server.go", "/docsX", "/Docs", "/openapi", "/openapi.yml", "/openapi.yaml/", "/v1/openapi.yaml",
	} {
		k.do(request{path: path}).refused(404, "PATH_NOT_FOUND")
	}
}

// outside matches references that make a browser load from another host.
var outside = regexp.MustCompile(`(?i)(src|href|action)\s*=\s*["']?\s*(https?:)?//|url\(\s*["']?\s*(https?:)?//|@import|\bimport\s*\(`)

// TestDocsLoadNothingFromOutside reads the page's own files. The browser test covers the running viewer.
func TestDocsLoadNothingFromOutside(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, path := range []string{"/docs", "/docs/page.js", "/docs/page.css", "/docs/swagger-ui.css"} {
		if found := outside.FindString(string(k.fetch("GET", path, nil).want(200).raw)); found != "" {
			k.Errorf("%s loads from another host: %q", path, found)
		}
	}
	page := string(k.fetch("GET", "/docs", nil).raw)
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if match[1] != "data:," {
			k.fetch("GET", "/"+match[1], nil).want(200)
		}
	}
	// All files in the folder are served and tested.
	k.must(fs.WalkDir(os.DirFS("docs"), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && path != "index.html" && docsTypes["/docs/"+path] == "" {
			k.Errorf("docs/%s is embedded, but not served", path)
		}
		return err
	}))
}
