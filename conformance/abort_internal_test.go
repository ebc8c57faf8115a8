package conformance

import (
	"slices"
	"testing"
)

// A check that ends early never passes.
func TestEarlyEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		test     func(*session)
		outcome  Outcome
		findings []string
	}{
		"not at all":        {func(*session) {}, Passed, nil},
		"with a reason":     {func(s *session) { s.abort("no %s", "key") }, Failed, []string{"no key"}},
		"after a finding":   {func(s *session) { s.fail("status 500"); s.need(false) }, Failed, []string{"status 500"}},
		"without a finding": {func(s *session) { s.need(false) }, Failed, []string{"the check ended early, without a finding"}},
		"with what it needs": {func(s *session) {
			s.need(true)
			s.fail("the rest was checked")
		}, Failed, []string{"the rest was checked"}},
	} {
		got := new(session).check(check{test: tt.test}, Selection{})
		if got.Outcome != tt.outcome || !slices.Equal(got.Findings, tt.findings) {
			t.Errorf("a check that ends early %s: %s with %q, want %s with %q", name, got.Outcome, got.Findings, tt.outcome, tt.findings)
		}
	}
}
