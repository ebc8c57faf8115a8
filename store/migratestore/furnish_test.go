package migratestore_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// oddTexts are names that some database might change.
var oddTexts = []string{
	"a", "A", "ä", "a\u0308", "ß", "日本語", "🗝️", "\U0010fffd", "a b", "a\u00a0b", "100%_'\"\\", `\x41`, "NULL", "\u200fעברית",
	"\ufeffbom", "ﬁ", "Ａ", "{}", "a/b", strings.Repeat("é", 127),
}

// furnish creates a database with all sorts of keys, and an audit log from which retention removed a part. It
// returns the secrets, by id.
func furnish(t *testing.T, path string, keys int) map[apikey.ID]apikey.Secret {
	t.Helper()
	before, after := time.Now().Add(-72*time.Hour), time.Now()
	var now atomic.Pointer[time.Time] // the writer reads it too
	now.Store(&before)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{
		Path: path, Node: "first", Serve: true, Now: func() time.Time { return *now.Load() },
	})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	f := furnishing{db: db, secrets: make(map[apikey.ID]apikey.Secret)}
	half := keys / 2
	must(t, f.add(t.Context(), before, 0, half))
	now.Store(&after)
	must(t, f.add(t.Context(), after, half, keys))
	must(t, f.addWebhook(t.Context(), after))
	rules := store.NoticeRules{Thresholds: []time.Duration{24 * time.Hour}, AdminAge: time.Nanosecond}
	written, _, err := db.WriteNotices(t.Context(), store.NoticeEnd, rules, store.NoticePlace{})
	must(t, err)
	if written == 0 {
		t.Fatal("no notice was written")
	}
	must(t, db.NoteRestored(t.Context(), sqlstore.Restored{At: before.UTC()}))
	removed, err := db.PruneEvents(t.Context(), time.Now().Add(-24*time.Hour))
	must(t, err)
	if removed == 0 {
		t.Fatal("nothing was removed from the log")
	}
	return f.secrets
}

// furnishing creates many keys at once, so that they share few commits.
type furnishing struct {
	db      *sqlstore.DB
	mu      sync.Mutex
	secrets map[apikey.ID]apikey.Secret
	users   []store.Subject // whose quotas are to be used
}

func (f *furnishing) add(ctx context.Context, now time.Time, from, to int) error {
	errs := make([]error, to)
	var all sync.WaitGroup
	for i := from; i < to; i++ {
		all.Go(func() { errs[i] = f.addKey(ctx, now, i) })
	}
	all.Wait()
	for i := range 3 {
		owner := "owner " + oddTexts[i%len(oddTexts)]
		errs = append(errs, second(f.db.UpdateOwner(ctx, databasetest.Operator, owner, apikey.OwnerChange{
			MaxKeys: new(from + to + i + 1), Metadata: &apikey.Metadata{"note": "\u2028<&>"},
			AllowedCIDRs: new(apikey.ParseCIDRs([]string{"192.0.2.7", "::/0"}[i%2:])),
		})))
	}
	for i, user := range f.users { // one after another, because none waits long for units
		errs = append(errs, second(f.db.TakeUnits(ctx, user, 10, now, 1+i%10)))
	}
	f.users = nil
	return errors.Join(errs...)
}

// addWebhook creates a webhook with a delivery that waits and one that is finished. It is disabled, or retention would
// leave what it has not heard.
func (f *furnishing) addWebhook(ctx context.Context, now time.Time) error {
	w := store.Webhook{
		ID: apikey.NewID(), URL: "https://hooks.example.com", Description: oddTexts[6], Events: []string{"webhook.updated"}, CreatedAt: now,
		Secret: store.NewWebhookSecret(),
	}
	err := f.db.CreateWebhook(ctx, databasetest.Operator, w)
	for range 2 {
		err = errors.Join(err, second(f.db.TestWebhook(ctx, databasetest.Operator, w.ID)))
	}
	_, due, failed := f.db.TakeDeliveries(ctx, w.ID, 1)
	for _, d := range due {
		err = errors.Join(err, f.db.RecordAttempts(ctx, w.ID, []store.Attempt{{Event: d.Event, OK: true, Status: 204}}))
	}
	return errors.Join(err, failed, second(f.db.RotateWebhook(ctx, databasetest.Operator, w.ID, store.NewWebhookSecret(), time.Hour)),
		second(f.db.UpdateWebhook(ctx, databasetest.Operator, w.ID, store.WebhookChange{Enabled: new(false)})))
}

// addKey creates the key with a number, and changes it as the number says.
func (f *furnishing) addKey(ctx context.Context, now time.Time, i int) error {
	name := oddTexts[i%len(oddTexts)]
	key, secret, err := apikey.Policy{}.NewKey(now, apikey.Settings{
		Owner: "owner " + name, Name: fmt.Sprint(name, " ", i), ExpiresAt: time.Now().Add(time.Duration(i+1) * time.Hour),
		Scopes: apikey.Scopes{apikey.ScopeRead, "datasets:read"}[:i%3], Metadata: map[bool]apikey.Metadata{
			true: {"note": name + "\n\x00\u2028<&>", "empty": ""},
		}[i%2 == 0],
		RateLimit: map[bool]apikey.RateLimit{true: {Limit: i + 1, Window: time.Minute}}[i%5 == 0],
	})
	if err != nil {
		return err
	}
	if i%7 == 6 {
		foreign, err := apikey.ForeignSecret(fmt.Sprint("a-foreign-secret-", i))
		if err != nil {
			return err
		}
		key.SecretHash, key.Foreign = foreign.Hash, apikey.ForeignCurrent
		return f.db.ImportKey(ctx, databasetest.Operator, key, foreign.Scheme)
	}
	if err := f.db.CreateKey(ctx, databasetest.Operator, key); err != nil {
		return err
	}
	switch i % 7 {
	case 1:
		err = second(f.db.RevokeKey(ctx, databasetest.Operator, store.ByID(key.ID), apikey.ReasonUnspecified))
	case 2, 3:
		secret = key.NewSecret()
		err = second(f.db.RotateKey(ctx, databasetest.Operator, store.ByID(key.ID), apikey.Rotation{
			From: key.SecretHash, To: secret.Hash(), Grace: time.Duration(i%7-2) * time.Hour,
		}))
	case 4:
		use := store.Use{
			Key: key.ID, Owner: key.Owner, Hour: now.Truncate(store.Hour), Counts: store.Counts{1, 0, int64(i)},
			LastUsedAt: now, LastUsedFrom: netip.MustParseAddr("2001:db8::7"), Scopes: []string{"datasets:read"}, MoreNetworks: true,
		}
		old := use
		old.Hour = use.Hour.AddDate(0, 0, -i)
		err = errors.Join(f.db.RecordUses(ctx, []store.Use{use, old}),
			second(f.db.PruneUsage(ctx, store.Retention{Hours: now.AddDate(0, 0, -1)})))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i%7 == 5 {
		f.users = append(f.users, store.Subject{Key: key.ID})
	}
	f.secrets[key.ID] = secret
	return err
}

// contents are everything that a store shows of a database.
type contents struct {
	Keys   []apikey.Key
	Counts map[string]int
	Events []store.Event
	Chains []store.ChainReport
}

// diff returns what differs.
func (c contents) diff(got contents) string {
	if reflect.DeepEqual(c, got) {
		return "" // cmp would take long
	}
	return cmp.Diff(c, got)
}

func contentsOf(t *testing.T, path string) (c contents) {
	t.Helper()
	// Without Serve: a server would add the head of its chain.
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Node: "looking"})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	c.Counts = make(map[string]int)
	for query := (store.Query{Limit: 1000}); ; query.Offset += query.Limit {
		page, err := db.Keys(t.Context(), query)
		must(t, err)
		c.Keys = append(c.Keys, page.Keys...)
		c.Counts[""] = page.Total
		if len(page.Keys) < query.Limit {
			break
		}
	}
	for _, key := range c.Keys {
		if _, ok := c.Counts[key.Owner]; !ok {
			page, err := db.Keys(t.Context(), store.Query{Owner: key.Owner, Limit: 1})
			must(t, err)
			c.Counts[key.Owner] = page.Total
		}
	}
	must(t, db.EachEvent(t.Context(), time.Time{}, func(e store.Event) error {
		c.Events = append(c.Events, e)
		return nil
	}))
	reports, err := db.VerifyAudit(t.Context())
	must(t, err)
	for _, report := range reports {
		if len(report.Faults) > 0 {
			t.Errorf("%s: %v", report.Head.Chain, report.Faults)
		}
		if report.Head.Seq > 0 {
			c.Chains = append(c.Chains, report)
		}
	}
	return c
}
