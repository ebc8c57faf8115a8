package cli

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"apikeyd/conformance"
	"apikeyd/internal/testkit/program"
)

// allChecks is how many checks there are, and allConform is what a run says that made them all.
var (
	allChecks  = len(conformance.Selection{}.Checks())
	allConform = fmt.Sprintf("conforms: %d checks", allChecks)
)

// conform runs apikeyd conformance and returns what it printed and its exit status.
func conform(t *testing.T, dir string, env []string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd, err := apikeyd(dir, env, append([]string{"conformance"}, args...)...)
	must(t, err)
	var out, errs program.Output
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its status is the answer
	wantNoSecret(t, out.String()+errs.String())
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"everything": nil, "changing nothing": {"--read-only"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, t.TempDir(), "--auth-failures-per-minute", "0")
			wantConforms(t, s, nil, append(args, "--url", s.url, "--key-file", "admin.key")...)
		})
	}
}

// wantConforms runs apikeyd conformance in the folder of a server that must pass it.
func wantConforms(t *testing.T, s *server, env []string, args ...string) {
	t.Helper()
	out, stderr, status := conform(t, s.dir, env, args...)
	if status != exitOK || !strings.Contains(out, allConform) || strings.Contains(out, "\x1b") {
		t.Errorf("exit status %d\n%s%s", status, out, stderr)
	}
}

func TestConformanceFormats(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--auth-failures-per-minute", "0")
	cacheable := proxy(t, s.url, func(r *http.Response) error {
		r.Header.Del("Cache-Control")
		return nil
	})
	args := []string{"--key-file", "admin.key", "--read-only", "--url", cacheable, "--format"}

	out, stderr, status := conform(t, s.dir, nil, append(args, "text")...)
	if status != exitFailure || !strings.Contains(out, "FAIL   answers keep the headers that the server gives to all of them  [deployment/headers]") || !strings.Contains(out, "does not conform") ||
		!strings.Contains(stderr, "does not conform") {
		t.Errorf("text: exit status %d\n%s%s", status, out, stderr)
	}

	out, _, status = conform(t, s.dir, nil, append(args, "json")...)
	var report struct {
		URL     string
		Results []struct {
			Name, Outcome string
			Findings      []string
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != exitFailure ||
		report.URL != cacheable || len(report.Results) != allChecks || len(report.Results[1].Findings) == 0 ||
		report.Results[1].Name != "deployment/headers" {
		t.Errorf("json: exit status %d, %v\n%s", status, err, out)
	}

	out, _, status = conform(t, s.dir, nil, append(args, "junit")...)
	var junit struct {
		Suites []struct {
			Tests, Failures, Skipped int `xml:",attr"`
			Cases                    []struct {
				Failure *struct {
					Message string `xml:",attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	err := xml.Unmarshal([]byte(strings.NewReplacer(
		`tests=`, `Tests=`, `message=`, `Message=`, `failures=`, `Failures=`, `skipped=`, `Skipped=`).Replace(out)), &junit)
	if err != nil || status != exitFailure || len(junit.Suites) != 1 || junit.Suites[0].Tests != allChecks ||
		junit.Suites[0].Failures == 0 || junit.Suites[0].Skipped == 0 ||
		junit.Suites[0].Cases[1].Failure == nil || !strings.Contains(junit.Suites[0].Cases[1].Failure.Text, "Cache-Control") ||
		!strings.HasPrefix(junit.Suites[0].Cases[1].Failure.Message, `GET /v1/api-keys: Cache-Control is "", want no-store`) {
		t.Errorf("junit: exit status %d, %v\n%s", status, err, out)
	}
}

func TestConformanceCannotRun(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	must(t, os.WriteFile(filepath.Join(s.dir, "no.key"), []byte("this is no key"), 0o600))
	for name, tt := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no URL":           {[]string{"--key-file", "admin.key"}, exitUsage, "--url"},
		"no key":           {[]string{"--url", s.url}, exitFailure, "--key-file"},
		"no such key file": {[]string{"--url", s.url, "--key-file", "nowhere"}, exitFailure, "nowhere"},
		"unknown format":   {[]string{"--url", s.url, "--key-file", "admin.key", "--format", "pdf"}, exitUsage, "--format"},
		"nobody listens":   {[]string{"--url", "http://127.0.0.1:1", "--key-file", "admin.key"}, exitFailure, "cannot be checked"},
		"not a URL":        {[]string{"--url", "127.0.0.1", "--key-file", "admin.key"}, exitUsage, "--url must begin with http:// or https://"},
		"not a key":        {[]string{"--url", s.url, "--key-file", "no.key"}, exitFailure, "holds no apikeyd key"},
		"a key, typed":     {[]string{"--url", s.url, "--key", "ak_nonsense"}, exitUsage, "takes @FILE, not a secret"},
	} {
		_, stderr, status := conform(t, s.dir, nil, tt.args...)
		if status != tt.status || !strings.Contains(stderr, tt.says) {
			t.Errorf("%s: exit status %d, want %d; stderr, which should say %q:\n%s", name, status, tt.status, tt.says, stderr)
		}
	}
}

// proxy puts a reverse proxy in front of a service.
func proxy(t *testing.T, target string, change func(*http.Response) error) string {
	t.Helper()
	to, err := url.Parse(target)
	must(t, err)
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.URL.RawQuery = r.In.URL.RawQuery // otherwise it drops parameters that it cannot parse
		},
		ModifyResponse: change,
	})
	t.Cleanup(server.Close)
	return server.URL
}
