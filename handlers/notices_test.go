package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
)

// notify writes the notices that are due.
func (k *kit) notify(rules store.NoticeRules) (written int) {
	k.Helper()
	for _, kind := range []store.NoticeKind{store.NoticeEnd, store.NoticeGrace, store.NoticeSecret} {
		n, _, err := k.db.WriteNotices(k.Context(), kind, rules, store.NoticePlace{})
		k.must(err)
		written += n
	}
	return written
}

// prepareNotices has a notice of each kind written.
func prepareNotices(k *kit) {
	k.mustCreate(k.admin, fields{"name": "expiring", "expires_at": k.in(2 * time.Second)})
	k.mustCreate(k.admin, fields{"name": "expired now", "expires_at": k.in(time.Second)})
	k.rotate(k.admin, keyPath(k.mustCreate(k.admin, fields{"name": "ending"}).ID), fields{"grace_seconds": 2}).want(200)
	limited := k.mustCreate(k.admin, fields{"name": "used up", "quota": fields{"limit": 1, "period": "day"}})
	k.ask(k.admin, limited.Secret).want(200)
	k.must(k.verifier.Keys.Flush(k.Context()))
	k.askFrom(k.admin.Secret, "203.0.113.7").want(200)
	k.must(k.verifier.Keys.Flush(k.Context()))
	k.must(k.verifier.Close(k.Context()))
	k.clock.Advance(time.Second)
	k.notify(store.NoticeRules{Thresholds: []time.Duration{time.Second}, AdminAge: time.Second})
}

// notice is what a test reads of an event that is a notice.
type notice struct {
	At     time.Time
	Action string `json:"action"`
	KeyID  string `json:"key_id"`
	Owner  string
	Name   string
	Actor  string
	Via    string

	Changes struct{ Notice struct{ To map[string]any } }
}

// noticesOf returns the notices about a key, or about an owner, oldest first.
func (k *kit) noticesOf(owner string, id string) (all []notice) {
	k.Helper()
	list := decode[struct{ Data []notice }](k.get(k.admin, auditPath+"?items_per_page=100&owner="+url.QueryEscape(owner)).want(200)).Data
	for _, event := range slices.Backward(list) {
		if event.KeyID == id && event.Changes.Notice.To != nil {
			all = append(all, event)
		}
	}
	return all
}

func (k *kit) wantNotices(what, owner, id string, want ...string) {
	k.Helper()
	var got []string
	for _, n := range k.noticesOf(owner, id) {
		says, err := json.Marshal(n.Changes.Notice.To)
		k.must(err)
		got = append(got, n.Action+" "+string(says))
		if line := fmt.Sprintf("action=%s key=%s", n.Action, id); id != zeroID && !strings.Contains(k.log.String(), line) {
			k.Errorf("%s: the log has no line with %s", what, line)
		}
	}
	if !slices.Equal(got, want) {
		k.Errorf("%s: the notices are\n%s, want\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const zeroID = "00000000-0000-0000-0000-000000000000"

// A key that ends is announced once for each threshold and end, and its history is not disturbed.
func TestNoticesOfEnds(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const day = 24 * time.Hour
	rules := store.NoticeRules{Thresholds: []time.Duration{30 * day, 7 * day, day}}
	key := k.mustCreate(k.admin, fields{"name": "ci", "owner": "acme", "expires_at": k.in(60 * day)})
	end := k.in(60 * day)
	says := func(days int) string {
		return fmt.Sprintf(`expiring {"ends_at":"%s.000Z","threshold_seconds":%d}`, strings.TrimSuffix(end, "Z"), days*86400)
	}
	for range 60 * 24 {
		k.clock.Advance(time.Hour)
		k.notify(rules)
	}
	k.wantNotices("to the end", "acme", key.ID, says(30), says(7), says(1), fmt.Sprintf(`expired {"ends_at":"%s.000Z"}`, strings.TrimSuffix(end, "Z")))
	first := k.noticesOf("acme", key.ID)[0]
	if first.Actor != "operator" || first.Via != "notices" || first.Name != "ci" {
		t.Errorf("a notice is %+v", first)
	}
	past := k.pastOf(k.admin, keyPath(key.ID), k.clock.Now().Add(-45*day)).past()
	if !past.Consistent {
		t.Errorf("the history is %+v", past)
	}
	now := k.clock.Now()
	k.patch(k.admin, keyPath(key.ID), fields{"expires_at": k.in(31 * day)}).want(200)
	end = k.in(31 * day)
	k.clock.Advance(2 * day)
	if n := k.notify(rules) + k.notify(rules); n != 1 {
		t.Errorf("of a moved end %d notices were written, want 1", n)
	}
	if past := k.pastOf(k.admin, keyPath(key.ID), now).past(); !past.Consistent {
		t.Errorf("the history is %+v", past)
	}

	// A notice does not hide that a key was altered.
	altered := k.mustCreate(k.admin, fields{"name": "altered", "owner": "acme", "expires_at": k.in(31 * day)})
	k.clock.Advance(2 * day)
	k.notify(rules)
	databasetest.Execute(t, databasetest.Raw(t, k.path), `UPDATE api_keys SET scopes = 'z' WHERE name = 'altered'`)
	if k.pastOf(k.admin, keyPath(altered.ID), k.clock.Now()).past().Consistent {
		t.Error("consistent, although a scope came out of nowhere")
	}
}

// A quota that is used up is announced once in each period: of a key with the last unit, of an owner with the first
// refusal.
func TestNoticesOfQuotas(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	key := k.mustCreate(k.admin, fields{"name": "ci", "owner": "acme", "expires_at": k.in(1000 * time.Hour), "quota": fields{"limit": 3, "period": "day"}})
	other := k.mustCreate(k.admin, fields{"name": "web", "owner": "acme", "expires_at": k.in(1000 * time.Hour)})
	k.patch(k.admin, ownerPath("acme"), fields{"quota": fields{"limit": 5, "period": "month"}}).want(200)
	use := func(secret string, times int) {
		for range times {
			k.ask(k.admin, secret).want(200)
		}
		k.must(k.verifier.Close(t.Context()))
	}
	day := fmt.Sprintf(`quota_reached {"limit":3,"resets_at":%q}`, apikey.Timestamp(k.clock.Now().Truncate(24*time.Hour).Add(24*time.Hour)))
	use(key.Secret, 2)
	k.wantNotices("before", "acme", key.ID)
	use(key.Secret, 1)
	k.wantNotices("with the last unit", "acme", key.ID, day)
	use(key.Secret, 5)
	k.wantNotices("with refusals", "acme", key.ID, day)
	k.wantNotices("the owner before", "acme", zeroID)
	use(other.Secret, 3)
	month := `quota_reached {"limit":5,"resets_at":"2026-12-01T00:00:00.000Z"}`
	k.wantNotices("the owner", "acme", zeroID, month)
	k.wantNotices("without a quota", "acme", other.ID)

	// The store is asked again, as after a restart, and says nothing again. In another period it does.
	k.clock.Advance(2 * time.Hour)
	use(key.Secret, 1)
	use(other.Secret, 1)
	k.wantNotices("later", "acme", key.ID, day)
	k.clock.Advance(9 * 24 * time.Hour)
	use(key.Secret, 3)
	if got := k.noticesOf("acme", key.ID); len(got) != 2 {
		t.Errorf("in two periods there were %d notices", len(got))
	}
	k.wantNotices("the owner later", "acme", zeroID, month)
}

// An admin key that is used from another network is announced, also if it only called this API.
func TestNoticesOfNetworks(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	flush := func() { k.must(k.verifier.Keys.Flush(t.Context())) }
	plain := k.mustCreate(k.admin, fields{"name": "plain"})
	k.get(k.admin, keysPath).want(200)
	k.askFrom(plain.Secret, "192.0.2.1").want(200)
	flush()
	k.wantNotices("the first use", "admin", k.admin.ID)
	for _, from := range []string{"198.51.100.1", "198.51.100.2", "2001:db8::1", "127.0.0.1"} {
		k.askFrom(k.admin.Secret, from).want(200)
		k.askFrom(plain.Secret, from).want(200)
	}
	flush()
	k.askFrom(k.admin.Secret, "198.51.100.9").want(200)
	flush()
	k.wantNotices("new ones", "admin", k.admin.ID, `new_network {"network":"198.51.100.0/24"}`, `new_network {"network":"2001:db8::/48"}`)
	k.wantNotices("no admin", "admin", plain.ID)
}
