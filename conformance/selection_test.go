package conformance_test

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"testing"

	"apikeyd/conformance"
)

// cacheable removes Cache-Control from the answers about one path.
func cacheable(path string) func(http.Handler) http.Handler {
	return func(proxy http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				w = withoutCacheControl{w}
			}
			proxy.ServeHTTP(w, r)
		})
	}
}

type withoutCacheControl struct{ http.ResponseWriter }

func (w withoutCacheControl) WriteHeader(status int) {
	w.Header().Del("Cache-Control")
	w.ResponseWriter.WriteHeader(status)
}

func TestSelection(t *testing.T) {
	t.Parallel()
	// Answers of /v1/usage lack Cache-Control.
	report := runBehind(t, "", conformance.Selection{
		Only:   []string{"usage", "*/uuids"},
		Skip:   []string{"usage/own*", "usage/decisions"},
		Expect: []string{"usage/in*", "uuids"},
	}, cacheable("/v1/usage"))
	outcomes := make(map[string]conformance.Outcome)
	for _, result := range report.Results {
		outcomes[result.Name] = result.Outcome
		if finding := strings.Join(result.Findings, "\n"); !strings.Contains(finding, map[string]string{
			"names/uuids":     `it found nothing, but you expect findings of "uuids"`,
			"usage/intervals": "Cache-Control",
			"usage/decisions": `you skip "usage/decisions"`,
			"usage/owners":    `you skip "usage/own*"`,
		}[result.Name]) {
			t.Errorf("%s found %q", result.Name, finding)
		}
	}
	want := map[string]conformance.Outcome{
		"deployment/contract": conformance.Passed, "names/uuids": conformance.Failed, "usage/summary": conformance.Passed,
		"usage/intervals": conformance.Expected, "usage/invalid": conformance.Expected,
		"usage/decisions": conformance.Skipped, "usage/owners": conformance.Skipped,
	}
	for name, outcome := range want {
		if outcomes[name] != outcome {
			t.Errorf("%s %s, want %s", name, outcomes[name], outcome)
		}
	}
	if len(outcomes) != len(want) {
		t.Errorf("the outcomes are %v, want %v", outcomes, want)
	}
	wantReports(t, report)
}

// wantReports checks how the reports of TestSelection show each outcome.
func wantReports(t *testing.T, report conformance.Report) {
	t.Helper()
	var text strings.Builder
	printer := conformance.NewPrinter(&text, false)
	for _, result := range report.Results {
		printer.Print(result)
	}
	printer.Summarize(report)
	for _, line := range []string{
		"usage\n", "  ok     a summary counts the keys that lists find\n",
		"  FAIL   a UUID is always an id  [names/uuids]\n", "  xfail  usage has every interval, oldest first  [usage/intervals]\n",
		"  skip   each decision about a key is counted once and immediately  [usage/decisions]\n           you skip \"usage/decisions\"\n",
		"does not conform: 7 checks, 2 passed, 1 failed, 2 failed as expected, 2 skipped; ",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("there is no %q in\n%s", line, text.String())
		}
	}
	var junit strings.Builder
	if err := report.WriteJUnit(&junit); err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Suite struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(junit.String()), &suites); err != nil {
		t.Fatal(err)
	}
	messages := make(map[string]string)
	for _, c := range suites.Suite.Cases {
		name, _, _ := strings.Cut(c.Name, ":")
		switch {
		case c.Failure != nil:
			messages[name] = "failure: " + c.Failure.Message
		case c.Skipped != nil:
			messages[name] = "skipped: " + c.Skipped.Message
		}
	}
	for name, begins := range map[string]string{
		"uuids":     `failure: it found nothing, but you expect findings of "uuids"`,
		"intervals": `skipped: expected: GET /v1/usage`,
		"decisions": `skipped: you skip "usage/decisions"`,
	} {
		if !strings.HasPrefix(messages[name], begins) {
			t.Errorf("JUnit says of %s %q, want %q", name, messages[name], begins)
		}
	}
	if !strings.Contains(messages["invalid"], " more)") {
		t.Errorf("JUnit says of invalid %q, want how many findings there are", messages["invalid"])
	}
	if s := suites.Suite; s.Tests != 7 || s.Failures != 1 || s.Skipped != 4 {
		t.Errorf("JUnit counts %d tests, %d failures, %d skipped", s.Tests, s.Failures, s.Skipped)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for pattern, says := range map[string]string{
		"rotation": "", "rotation/*": "", "*/invalid": "", "uuids": "", "*": "", "rot[a-z]*/grace": "",
		"rotation/": "matches no check", "": "matches no check", "Rotation": "matches no check", "*/*/*": "matches no check",
		"[": "is not a pattern", "rotation/[a": "is not a pattern", `rotation\`: "is not a pattern",
	} {
		err := conformance.CheckPattern(pattern)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want %q", pattern, err, says)
		}
		if says == "" {
			continue
		}
		for _, o := range []conformance.Selection{{Only: []string{pattern}}, {Skip: []string{pattern}}, {Expect: []string{pattern}}} {
			wantUnusable(t, conformance.Options{URL: "http://127.0.0.1:1", Selection: o}, says)
		}
	}
}

// TestChecks holds that each check has a name of its own, which is easy to type, and one line about it.
func TestChecks(t *testing.T) {
	t.Parallel()
	all := conformance.Selection{}.Checks()
	var names []string
	for _, check := range all {
		if group, name, _ := strings.Cut(check.Name, "/"); strings.Trim(group+name, "abcdefghijklmnopqrstuvwxyz-") != "" ||
			group == "" || name == "" || slices.Contains(names, check.Name) || check.About == "" || strings.Contains(check.About, "\n") {
			t.Errorf("%+v", check)
		}
		names = append(names, check.Name)
	}
	if len(all) < 90 {
		t.Errorf("only %d checks", len(all))
	}
	some := conformance.Selection{Only: []string{"dates"}, Skip: []string{"dates/strict"}}.Checks()
	if len(some) != 2 || some[0].Name != "deployment/contract" || some[1].Name != "dates/milliseconds" {
		t.Errorf("selected %+v", some)
	}
}
