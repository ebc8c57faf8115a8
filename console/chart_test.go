package console

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"apikeyd/client"
)

func TestChart(t *testing.T) {
	t.Parallel()
	templates, err := loadTemplates(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 14, 30, 20, 0, time.UTC)
	usage := func(interval time.Duration, n int, counts map[int][2]int) client.Usage {
		u := client.Usage{Since: now.Add(-3 * time.Hour), Interval: interval}
		for i := range n {
			start := now.Truncate(interval).Add(-time.Duration(n-1-i) * interval)
			u.Counts = append(u.Counts, client.UsageCount{Start: start, Valid: counts[i][0], Refused: counts[i][1]})
		}
		return u
	}
	for name, tt := range map[string]struct {
		usage  client.Usage
		want   []string
		absent string
	}{
		"an hour by minutes": {
			usage(time.Minute, 60, map[int][2]int{10: {1100, 0}, 32: {80, 8}, 59: {24, 5}}),
			[]string{
				"<strong>1,204</strong> verified and <strong>13</strong> refused in the last 60 minutes",
				`most in one minute: 1,100 at <time class="clock" datetime="2026-11-25T13:41:00Z"`,
				`viewBox="0 0 600 108"`, `d="M101 103.3v-103.3h8v103.3z`, `<tr><th scope="row"><time class="clock" datetime="2026-11-25T14:30:00Z"`,
				"since it started <time datetime=\"2026-11-25T11:30:20Z\"",
			}, "nothing",
		},
		"a day by hours": {
			usage(time.Hour, 24, map[int][2]int{23: {1, 0}}),
			[]string{"in the last 24 hours", "most in one hour: 1 at", `d="M0 108H240"`}, "nothing",
		},
		"a month by days": {
			usage(24*time.Hour, 30, map[int][2]int{3: {7, 1}}),
			[]string{
				"in the last 30 days; most in one day: 8 on 2026-10-30.", `<tr><th scope="row">2026-10-30</th>`, "Counted by all servers",
				"<span>2026-10-27</span><span>2026-11-25</span>", "Days of UTC without any",
			}, "nothing",
		},
		"refusals alone": {
			usage(time.Minute, 60, map[int][2]int{0: {0, 3}}),
			[]string{"<strong>0</strong> verified and <strong>3</strong> refused", `class="refused" d="M1 4v104h8v-104z"`}, "nothing",
		},
		"none":         {usage(time.Minute, 60, nil), []string{"No key was verified in the last 60 minutes.", "nothing"}, "<svg"},
		"no intervals": {client.Usage{Interval: time.Minute}, []string{"No key was verified"}, "NaN"},
	} {
		var html bytes.Buffer
		if err := templates["keys"].ExecuteTemplate(&html, "chart", chartOf(tt.usage, now)); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(html.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, html.String())
			}
		}
		if strings.Contains(html.String(), tt.absent) {
			t.Errorf("%s: %q is in\n%s", name, tt.absent, html.String())
		}
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}
