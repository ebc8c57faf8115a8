package cli

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The console shows administrators the settings of the server, those that differ from their defaults first.
func TestConsoleShowsSettings(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--audit-retention", "1y", "--usage-days", "400d", "--usage-hours", "9d")
	got := s.page("/console/server", s.signIn(s.adminKey()))
	changed, defaults, found := strings.Cut(got.text, "Settings at their defaults")
	if got.status != http.StatusOK || !found {
		t.Fatalf("the page is %+v", got)
	}
	for setting, value := range map[string]string{"--audit-retention": "365d", "--usage-hours": "9d"} {
		if !strings.Contains(changed, "<code>"+setting+"</code></th><td role=\"cell\"><code>"+value+"<") {
			t.Errorf("%s is not shown to be %s:\n%s", setting, value, changed)
		}
	}
	for setting, value := range map[string]string{"--usage-days": "400d", "--console": "on", "--key-prefix": "ak", "--verify-cache": "100000"} {
		if !strings.Contains(defaults, "<code>"+setting+"</code></th><td role=\"cell\"><code>"+value+"<") {
			t.Errorf("%s is not shown to be %s by default:\n%s", setting, value, defaults)
		}
	}
	if !strings.Contains(got.text, "apikeyd.db") || strings.Contains(got.text, "--database") || strings.Contains(got.text, "--help") {
		t.Errorf("the database is not shown apart from the settings:\n%s", got.text)
	}
}

func TestSettingText(t *testing.T) {
	t.Parallel()
	for want, value := range map[string]any{
		"on": true, "off": false, "30d": 30 * 24 * time.Hour, "1h30m0s": 90 * time.Minute, "0s": time.Duration(0), "7": 7, "": "",
		"https://user:xxxxx@keys.example.com/": "https://user:swordfish@keys.example.com/",
	} {
		if got := settingText(value); got != want {
			t.Errorf("%v is shown as %q, want %q", value, got, want)
		}
	}
}
