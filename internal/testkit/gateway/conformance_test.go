//go:build full

package gateways_test

import (
	"net/http"
	"os"
	"regexp"
	"testing"

	"apikeyd/conformance"
	"apikeyd/gen"
	"apikeyd/internal/basepath"
	servertest "apikeyd/internal/testkit/server"
)

// block matches a configuration with a file name in a page.
var block = regexp.MustCompile("(?ms)^```\\w+ (\\S+)\n(.*?)^```$")

// TestConformanceBehindNginx runs the suite through nginx with the configuration of docs/conformance.md,
// and with the expectations that stand below it.
func TestConformanceBehindNginx(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/conformance.md")
	must(t, err)
	nginx := gateway{program: "nginx", files: []string{"conf.d/apikeyd.conf"}, prepare: prepareNginx}
	p := page{files: map[string]string{}}
	for _, match := range block.FindAllStringSubmatch(string(text), -1) {
		p.files[match[1]] = match[2]
	}
	var expected []string
	for _, match := range regexp.MustCompile(`--expect (routing|forward-auth|names)(/\S+)`).FindAllStringSubmatch(string(text), -1) {
		expected = append(expected, match[1]+match[2])
	}
	s := servertest.Start(t, servertest.Options{Handler: func(api http.Handler) http.Handler {
		return basepath.Handler(api, basepath.Options{Path: "/keys"})
	}})
	_, secret := s.Add(t, "acme", "for the suite", "keys:admin")
	report, err := conformance.Run(t.Context(), conformance.Options{
		URL: nginx.start(t, p, s.URL, "") + "/keys", Key: secret.Reveal(), Contract: gen.Contract,
		Selection: conformance.Selection{Expect: expected},
	})
	must(t, err)
	for _, result := range report.Results {
		if result.Outcome == conformance.Failed || result.Outcome == conformance.Skipped {
			t.Errorf("%s: %s", result.Name, result.Findings)
		}
	}
	if got := report.Count(conformance.Expected); got != 3 || len(expected) != 3 {
		t.Errorf("%d checks failed as expected, and the page names %q", got, expected)
	}
}
