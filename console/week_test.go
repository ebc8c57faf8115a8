package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The row of a key shows how often it was used in the last seven days.
func TestWeeksOfKeys(t *testing.T) {
	t.Parallel()
	var ahead time.Duration
	k := newKit(t, options{now: func() time.Time { return time.Now().Add(ahead) }})
	used := k.add("acme", "used", "datasets:read")
	k.add("acme", "never used", "datasets:read")
	k.use(used)
	ahead = 2 * 24 * time.Hour
	for range 3 {
		k.use(used)
	}
	v := k.visitor()
	v.signIn(k.admin)
	row := func(name string) string {
		_, rest, _ := strings.Cut(v.get("/console/keys?owner=acme").want(http.StatusOK).body, "<bdi>"+name+"</bdi>")
		row, _, _ := strings.Cut(rest, "</tr>")
		return row
	}
	// The fifth and the last day: a third as high, and the whole height.
	if got := row("used"); !strings.Contains(got, `aria-label="4 in the last 7 days"`) || !strings.Contains(got, `d="M16 16v-5h3v5zM24 16v-16h3v16z"`) {
		t.Errorf("the row of a used key is %s", got)
	}
	if got := row("never used"); strings.Contains(got, "last 7 days") {
		t.Errorf("the row of an unused key is %s", got)
	}
	ahead += 8 * 24 * time.Hour
	v.signIn(k.admin)
	if got := row("used"); strings.Contains(got, "last 7 days") {
		t.Errorf("after a week the row is %s", got)
	}
}
