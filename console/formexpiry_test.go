package console

import (
	"slices"
	"testing"
	"time"
)

func TestFormPresets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		longest time.Duration
		offered []string
		usual   string
		says    string
	}{
		{0, []string{"7 days", "30 days", "90 days", "365 days"}, "90", ""},
		{90 * day, []string{"7 days", "30 days", "90 days"}, "90", "90 days"},
		{100 * day, []string{"7 days", "30 days", "90 days", "100 days"}, "90", "100 days"},
		{60 * day, []string{"7 days", "30 days", "60 days"}, "longest", "60 days"},
		{36 * time.Hour, []string{"1 day and 12 hours"}, "longest", "1 day and 12 hours"},
		{90 * time.Second, []string{"1 minute and 30 seconds"}, "longest", "1 minute and 30 seconds"},
	} {
		s := &site{Config: Config{MaxKeyLifetime: test.longest}}
		var offered []string
		for _, p := range s.presets() {
			offered = append(offered, p.Label)
		}
		if !slices.Equal(offered, test.offered) {
			t.Errorf("at most %s: %q are offered, not %q", test.longest, offered, test.offered)
		}
		if usual := s.defaultEnd(); usual != test.usual {
			t.Errorf("at most %s: %q is chosen at first, not %q", test.longest, usual, test.usual)
		}
		if test.longest > 0 && exactDuration(test.longest) != test.says {
			t.Errorf("%s is formatted as %q", test.longest, exactDuration(test.longest))
		}
	}
}
