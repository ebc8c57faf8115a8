package apikey_test

import (
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
)

// noon is the time of rotations in these tests.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// rotatable returns a key that expires one day after noon, and its secret.
func rotatable(t *testing.T, prefix string) (apikey.Key, apikey.Secret) {
	t.Helper()
	key, secret, err := apikey.Policy{Prefix: prefix}.NewKey(noon.Add(-time.Hour), apikey.Settings{
		Owner: "o", Name: "n", ExpiresAt: noon.Add(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return key, secret
}

// rotate rotates a key, and returns the new secret too.
func rotate(key apikey.Key, grace time.Duration, now time.Time) (apikey.Key, apikey.Secret) {
	secret := key.NewSecret()
	return key.Rotate(apikey.Rotation{From: key.SecretHash, To: secret.Hash(), Grace: grace}, now), secret
}

func TestRotate(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name  string
		grace time.Duration
		now   time.Time
		end   time.Time // of the grace; zero is none
	}{
		{"no grace", 0, noon, time.Time{}},
		{"less than a millisecond of grace", time.Millisecond - time.Nanosecond, noon, time.Time{}},
		{"a millisecond", time.Millisecond, noon, noon.Add(time.Millisecond)},
		{"an hour", time.Hour, noon, noon.Add(time.Hour)},
		{"in whole milliseconds", time.Hour, noon.Add(1999 * time.Microsecond), noon.Add(time.Hour + time.Millisecond)},
		{"up to the very end of the key", day, noon, noon.Add(day)},
		{"beyond the end of the key", apikey.MaxGrace, noon, noon.Add(day)},
		{"at the end of the key", time.Hour, noon.Add(day), time.Time{}},
		{"after the end of the key", time.Hour, noon.Add(2 * day), time.Time{}},
		{"a moment before the end of the key", time.Hour, noon.Add(day - time.Millisecond), noon.Add(day)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, old := rotatable(t, "ak")
			after, secret := rotate(before, tt.grace, tt.now)
			if got := after.GraceEnd(tt.now); !got.Equal(tt.end) {
				t.Errorf("the grace ends at %v, want %v", got, tt.end)
			}
			if got := after.Accepts(old.Hash(), tt.now); got != !tt.end.IsZero() {
				t.Errorf("the old secret is accepted: %t", got)
			}
			if !after.Accepts(secret.Hash(), tt.now) || before.Accepts(secret.Hash(), tt.now) {
				t.Error("the new secret is not accepted from now on")
			}
			if tt.end.IsZero() {
				if after.OldSecretHash != (apikey.Hash{}) || !after.OldSecretUntil.IsZero() {
					t.Error("the old secret is kept for nothing")
				}
			} else {
				last := tt.end.Add(-time.Nanosecond)
				if !after.Accepts(old.Hash(), last) || after.Accepts(old.Hash(), tt.end) {
					t.Error("the old secret does not end with its grace")
				}
				if !after.GraceEnd(last).Equal(tt.end) || !after.GraceEnd(tt.end).IsZero() {
					t.Error("the grace does not end at its end")
				}
			}
			if want := tt.now.Truncate(time.Millisecond); !after.RotatedAt.Equal(want) {
				t.Errorf("rotated at %s, want %s", after.RotatedAt, want)
			}
			// Nothing else changed.
			after = after.EndGrace()
			if !after.SecretMade().Equal(tt.now.Truncate(time.Millisecond)) || !before.SecretMade().Equal(before.CreatedAt) {
				t.Errorf("the secret was made at %s, the one before at %s", after.SecretMade(), before.SecretMade())
			}
			after.SecretHash, after.RotatedAt = before.SecretHash, before.RotatedAt
			if diff := differ(before, after); diff != "" {
				t.Errorf("the rotation changed something else (-before +after):\n%s", diff)
			}
		})
	}
}

func TestSecondRotation(t *testing.T) {
	key, first := rotatable(t, "ak")
	key, second := rotate(key, time.Hour, noon)
	key, third := rotate(key, 10*time.Minute, noon.Add(time.Minute))
	now := noon.Add(2 * time.Minute)
	for name, tt := range map[string]struct {
		secret apikey.Secret
		want   bool
	}{
		"the one before the last, in what was its grace": {first, false},
		"the last":     {second, true},
		"the current":  {third, true},
		"one never in": {key.NewSecret(), false},
	} {
		if got := key.Accepts(tt.secret.Hash(), now); got != tt.want {
			t.Errorf("%s is accepted: %t", name, got)
		}
	}
	if want := noon.Add(11 * time.Minute); !key.GraceEnd(now).Equal(want) {
		t.Errorf("the grace ends at %v, want %v", key.GraceEnd(now), want)
	}
	if key, _ = rotate(key, 0, now); key.Accepts(second.Hash(), now) || key.Accepts(third.Hash(), now) {
		t.Error("a rotation without grace leaves an older secret good")
	}
}

func TestGraceAndTheKeysEnd(t *testing.T) {
	rotated, old := rotatable(t, "ak")
	rotated, _ = rotate(rotated, time.Hour, noon)
	sooner, later := noon.Add(time.Minute), noon.Add(48*time.Hour)
	shortened := rotated.Apply(apikey.Change{ExpiresAt: &sooner})
	prolonged := rotated.Apply(apikey.Change{ExpiresAt: &later})
	revoked := rotated
	revoked.RevokedAt = noon

	for name, tt := range map[string]struct {
		key    apikey.Key
		now    time.Time
		end    time.Time // of the grace
		status apikey.Status
	}{
		"as it was":                   {rotated, noon, noon.Add(time.Hour), apikey.StatusActive},
		"its end moved nearer":        {shortened, noon, sooner, apikey.StatusActive},
		"past that end":               {shortened, sooner, sooner, apikey.StatusExpired},
		"its end moved away":          {prolonged, noon, noon.Add(time.Hour), apikey.StatusActive},
		"its end moved away, and now": {prolonged, noon.Add(time.Hour), time.Time{}, apikey.StatusActive},
		"revoked":                     {revoked, noon, time.Time{}, apikey.StatusRevoked},
	} {
		if got := tt.key.GraceEnd(tt.now); !got.Equal(tt.end) {
			t.Errorf("%s: the grace ends at %v, want %v", name, got, tt.end)
		}
		if got := tt.key.Status(tt.now); got != tt.status {
			t.Errorf("%s: the key is %s, want %s", name, got, tt.status)
		}
	}
	// The old secret in its grace period gets the key's status.
	if !revoked.Accepts(old.Hash(), noon) || revoked.Accepts(old.Hash(), noon.Add(time.Hour)) {
		t.Error("the old secret of a revoked key is not known until its grace ends")
	}
	if ended := rotated.EndGrace(); ended.Accepts(old.Hash(), noon) || !ended.GraceEnd(noon).IsZero() {
		t.Error("a grace that was ended goes on")
	}
}

// A key without an old secret must not accept the zero hash.
func TestNothingIsNoSecret(t *testing.T) {
	key, _ := rotatable(t, "ak")
	bare := apikey.Key{SecretHash: key.SecretHash}
	for _, now := range []time.Time{{}, noon, noon.AddDate(100, 0, 0)} {
		if key.Accepts(apikey.Hash{}, now) || bare.Accepts(apikey.Hash{}, now) {
			t.Errorf("the zero hash is accepted at %v", now)
		}
	}
	if !key.GraceEnd(noon).IsZero() {
		t.Error("a key that was never rotated has a grace")
	}
}

func TestNewSecretOfAKey(t *testing.T) {
	for _, prefix := range []string{"ak", "a", "acme_live", "a_", "my__prod_2", "under_score_", strings.Repeat("z", 20)} {
		key, old := rotatable(t, prefix)
		secret := key.NewSecret()
		if secret.Prefix() != key.Prefix || !strings.HasPrefix(secret.Reveal(), prefix+"_") {
			t.Errorf("a secret of a key with prefix %s begins with %s", key.Prefix, secret.Prefix())
		}
		if secret.ID() != key.ID || secret.Hash() == old.Hash() || secret.Hash() == key.NewSecret().Hash() {
			t.Error("a new secret is not that key's, or not new")
		}
		if parsed, err := apikey.ParseSecret(secret.Reveal()); err != nil || parsed.ID() != key.ID {
			t.Errorf("a new secret is malformed: %v", err)
		}
	}
}
