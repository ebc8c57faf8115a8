package handlers_test

import (
	"testing"
	"time"
)

// The clock is set forward and back, by seconds and by years. Valid keys work, revoked keys stay
// revoked, and no stored time prevents a change.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	lasting := k.mustCreate(k.admin, fields{"name": "lasting", "expires_at": k.in(9 * 365 * 24 * time.Hour),
		"rate_limit": fields{"limit": 2, "window_seconds": 60}})
	short := k.mustCreate(k.admin, fields{"name": "short", "expires_at": k.in(time.Minute)})
	revoked := k.mustCreate(k.admin, fields{"name": "revoked"})
	verdictOn := func(secret string) string { return decode[verdict](k.ask(k.admin, secret).want(200)).Code }
	k.revoke(k.admin, keyPath(revoked.ID)).want(200)
	rotated := k.mustCreate(k.admin, fields{"name": "rotated", "expires_at": k.in(9 * 365 * 24 * time.Hour)})
	replaced := rotated.Secret
	rotated.Secret = k.rotate(k.admin, keyPath(rotated.ID), fields{"grace_seconds": 0}).want(200).key().Secret

	var now time.Duration // since the start
	for i, jump := range []time.Duration{
		time.Hour, -time.Hour, -time.Hour, 5 * 365 * 24 * time.Hour, -6 * 365 * 24 * time.Hour, 7 * time.Second,
		-time.Second, time.Millisecond, -time.Millisecond, 365*24*time.Hour + time.Hour - 6*time.Second,
	} {
		k.clock.Advance(jump)
		now += jump
		want := "VALID"
		if now >= time.Minute {
			want = "EXPIRED"
		}
		for secret, want := range map[string]string{
			short.Secret: want, revoked.Secret: "REVOKED", replaced: "NOT_FOUND", rotated.Secret: "VALID",
		} {
			if got := verdictOn(secret); got != want {
				t.Errorf("jump %d to %s: verify says %s, want %s", i, now, got, want)
			}
		}
		created := k.mustCreate(k.admin, fields{"name": "during the jumps", "expires_at": k.in(time.Hour)})
		k.patch(k.admin, keyPath(created.ID), fields{"name": "changed"}).want(200)
		k.revoke(k.admin, keyPath(created.ID)).want(200)
		if n := len(k.get(k.admin, keysPath+"?items_per_page=100").want(200).list().Data); n != 6+i {
			t.Errorf("jump %d: %d keys are listed, want %d", i, n, 6+i)
		}
		// A used-up limit must not last longer than its window, whatever the clock showed.
		used := 0
		for range 5 {
			if verdictOn(lasting.Secret) == "VALID" {
				used++
			}
		}
		k.clock.Advance(time.Minute)
		if code := verdictOn(lasting.Secret); code != "VALID" || used > 2 {
			t.Errorf("jump %d: %d calls passed at once, and after a window the key is %s", i, used, code)
		}
		k.clock.Advance(-time.Minute)
	}
}
