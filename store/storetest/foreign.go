package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

// foreignSecret is what a service of customers had as secret number n.
func foreignSecret(n int) string { return fmt.Sprintf("legacy-secret-%04d", n) }

// draftForeign makes a key with a foreign secret that no store has yet.
func (f *fixture) draftForeign(name, secret string, scheme apikey.Scheme) apikey.Key {
	f.Helper()
	key := f.draft("acme", name)
	key.SecretHash = apikey.ForeignSecrets(secret, []apikey.Scheme{scheme}, []byte("pepper"))[0].Hash
	key.Foreign = apikey.ForeignCurrent
	return key
}

func (f *fixture) importKey(name, secret string, scheme apikey.Scheme) apikey.Key {
	f.Helper()
	key := f.draftForeign(name, secret, scheme)
	f.must(f.ImportKey(f.ctx(), operator, key, scheme))
	return key
}

func (f *fixture) wantImported(got error, key apikey.Key) {
	f.Helper()
	if imported, ok := errors.AsType[*store.ImportedError](got); !ok || imported.Key != key.ID {
		f.Errorf("error is %v, want that key %s has the secret", got, key.ID)
	}
}

func testForeign(f *fixture) {
	schemes := func() []apikey.Scheme {
		f.Helper()
		all, err := f.ForeignSchemes(f.ctx())
		f.must(err)
		return all
	}
	if all := schemes(); len(all) != 0 {
		f.Errorf("an empty store has foreign secrets in %v", all)
	}
	f.create("acme", "ours")
	keys := make(map[apikey.Scheme]apikey.Key)
	for i := range apikey.Schemes {
		scheme := apikey.Schemes[len(apikey.Schemes)-1-i] // each is found without those before it
		keys[scheme] = f.importKey(string(scheme), foreignSecret(i), scheme)
		if diff := cmp.Diff(apikey.Schemes[len(apikey.Schemes)-1-i:], schemes()); diff != "" {
			f.Errorf("the schemes differ (-want +got):\n%s", diff)
		}
	}
	for i := range apikey.Schemes {
		key := keys[apikey.Schemes[len(apikey.Schemes)-1-i]]
		id, hash, err := f.ForeignKey(f.ctx(), apikey.ForeignSecrets(foreignSecret(i), apikey.Schemes, []byte("pepper")))
		f.must(err)
		if id != key.ID || !hash.Equal(key.SecretHash) {
			f.Errorf("secret %d leads to key %s, want %s", i, id, key.ID)
		}
		f.wantKey(f.get(store.ByID(id)), key)
	}
	for _, pepper := range []string{"", "another"} {
		_, _, err := f.ForeignKey(f.ctx(), apikey.ForeignSecrets(foreignSecret(0), apikey.Schemes, []byte(pepper)))
		f.wantErr(err, store.ErrNotFound)
	}
	for _, none := range [][]apikey.Foreign{nil, apikey.ForeignSecrets(foreignSecret(77), apikey.Schemes, nil)} {
		_, _, err := f.ForeignKey(f.ctx(), none)
		f.wantErr(err, store.ErrNotFound)
	}
}

// An import makes no second key of a secret, whatever became of the first; nor does it take a name.
func testImportTwice(f *fixture) {
	f.create("acme", "taken")
	f.wantErr(f.ImportKey(f.ctx(), operator, f.draftForeign("taken", foreignSecret(0), apikey.SchemeSHA256), apikey.SchemeSHA256),
		store.ErrNameTaken)
	key := f.importKey("ci", foreignSecret(0), apikey.SchemeSHA256) // what was refused left nothing behind
	again := func() error {
		f.clock.Advance(time.Millisecond)
		return f.ImportKey(f.ctx(), operator, f.draftForeign("another", foreignSecret(0), apikey.SchemeSHA256), apikey.SchemeSHA256)
	}
	f.wantImported(again(), key)
	f.rotate(key, 0)
	f.wantImported(again(), key)
	f.revoke(store.ByID(key.ID))
	f.wantImported(again(), key)
	if events := f.events(); len(events) != 4 {
		f.Errorf("there are %d events, want 4", len(events))
	} else if change, _ := events[2].Changes.Get(apikey.ImportedField); events[2].Action != store.ActionCreate ||
		string(change.To) != `"sha256"` {
		f.Errorf("the import's event is %+v", events[2])
	}
}

func testImportAtOnce(f *fixture) {
	const n = 20
	drafts := make([]apikey.Key, n)
	for i := range drafts {
		drafts[i] = f.draftForeign(numbered(i), foreignSecret(0), apikey.SchemeSHA512)
	}
	imported := 0
	errs := make(chan error, n)
	for _, key := range drafts {
		go func() { errs <- f.ImportKey(f.ctx(), operator, key, apikey.SchemeSHA512) }()
	}
	for range drafts {
		err := <-errs
		if err == nil {
			imported++
		} else if _, ok := errors.AsType[*store.ImportedError](err); !ok {
			f.Error(err)
		}
	}
	page, err := f.Keys(f.ctx(), store.Query{Limit: n})
	f.must(err)
	if imported != 1 || page.Total != 1 {
		f.Errorf("%d imports succeeded, and there are %d keys, want 1", imported, page.Total)
	}
}

func testImportAuthority(f *fixture) {
	writer := f.create("acme", "writer", apikey.ScopeRead, apikey.ScopeWrite)
	admin := f.create("other", "admin", apikey.ScopeAdmin)
	key := f.draftForeign("ci", foreignSecret(0), apikey.SchemeSHA256)
	f.wantDenied(f.ImportKey(f.ctx(), actorOf(writer), key, apikey.SchemeSHA256))
	f.must(f.ImportKey(f.ctx(), actorOf(admin), key, apikey.SchemeSHA256))
	f.revoke(store.ByID(admin.ID))
	f.wantErr(f.ImportKey(f.ctx(), actorOf(admin), f.draftForeign("x", foreignSecret(1), apikey.SchemeSHA256), apikey.SchemeSHA256),
		store.ErrActorGone)
}

// A filter finds the keys that a foreign secret still opens: until a rotation, the end of its grace, or a revocation.
func testForeignFilter(f *fixture) {
	f.create("acme", "ours")
	f.rotate(f.create("acme", "ours rotated"), time.Minute)
	f.importKey("current", foreignSecret(0), apikey.SchemeSHA256)
	f.rotate(f.importKey("in grace", foreignSecret(1), apikey.SchemeSHA256), time.Minute)
	f.rotate(f.importKey("rotated", foreignSecret(2), apikey.SchemeSHA256), 0)
	twice := f.rotate(f.importKey("rotated twice", foreignSecret(3), apikey.SchemeSHA256), time.Minute)
	f.rotate(twice, time.Minute)
	f.revoke(store.ByID(f.importKey("revoked", foreignSecret(4), apikey.SchemeSHA256).ID))
	want := func(foreign bool, names ...string) {
		f.Helper()
		query := store.Query{Foreign: &foreign, At: f.clock.Now(), Limit: 100}
		page, err := f.Keys(f.ctx(), query)
		f.must(err)
		var got []string
		for _, key := range page.Keys {
			got = append(got, key.Name)
			if key.HasForeign(f.clock.Now()) != foreign {
				f.Errorf("%s: the filter and the key disagree", key.Name)
			}
		}
		if diff := cmp.Diff(names, got); diff != "" || page.Total != len(names) {
			f.Errorf("foreign=%t finds %d keys, and differs (-want +got):\n%s", foreign, page.Total, diff)
		}
	}
	want(true, "in grace", "current")
	want(false, "revoked", "rotated twice", "rotated", "ours rotated", "ours")
	f.clock.Advance(time.Minute)
	want(true, "current")
	want(false, "revoked", "rotated twice", "rotated", "in grace", "ours rotated", "ours")
}

// A leak report of a foreign secret ends it as it ends others.
func testEndForeignSecret(f *fixture) {
	for name, grace := range map[string]time.Duration{"current": 0, "in grace": time.Minute} {
		key := f.importKey(name, foreignSecret(int(grace)), apikey.SchemeHMAC)
		if grace > 0 {
			f.rotate(key, grace)
		}
		got, err := f.EndSecret(f.ctx(), actorOf(key))
		f.must(err)
		if got.IsRevoked() != (grace == 0) || got.HasForeign(f.clock.Now()) {
			f.Errorf("%s: the key is %+v", name, got)
		}
		f.wantKey(f.get(store.ByID(key.ID)), got)
	}
}
