package storetest

import (
	"errors"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// session starts a session of acme for an hour.
func (f *fixture) session(name string, scopes ...string) apikey.Key {
	f.Helper()
	key, _, err := apikey.Policy{}.NewSessionKey(f.clock.Now(), apikey.Settings{
		Owner: "acme", Name: name, Scopes: scopes, ExpiresAt: f.clock.Now().Add(time.Hour), Metadata: apikey.Metadata{"subject": "42"},
	}, apikey.SessionSignIn, apikey.ID{})
	f.must(err)
	f.must(f.StartSession(f.ctx(), store.Visitor("single sign-on", "192.0.2.7", "a request"), key))
	return key
}

func testSession(f *fixture) {
	other := f.create("acme", "alice")
	f.must(ignore(f.UpdateOwner(f.ctx(), operator, "acme", apikey.OwnerChange{MaxKeys: new(1)})))
	key := f.session("alice", apikey.ScopeRead, apikey.ScopeWrite)
	f.wantKey(f.get(store.ByID(key.ID)), key)
	f.wantKey(f.get(store.ByName("acme", "alice")), other)

	for _, q := range []store.Query{{Limit: 9}, {Owner: "acme", Limit: 9}, {Search: "alice", Limit: 9}, {Status: apikey.StatusActive, At: f.clock.Now(), Limit: 9}} {
		for _, sessions := range []bool{false, true} {
			q.Sessions = sessions
			page, err := f.Keys(f.ctx(), q)
			f.must(err)
			want := map[bool]apikey.Key{false: other, true: key}[sessions]
			if len(page.Keys) != 1 || page.Total != 1 {
				f.Fatalf("%+v finds %d keys of %d, want 1", q, len(page.Keys), page.Total)
			}
			f.wantKey(page.Keys[0], want)
		}
	}
	yes := true
	page, err := f.Keys(f.ctx(), store.Query{Sessions: true, Rotating: &yes, At: f.clock.Now(), Limit: 9})
	f.must(err)
	if len(page.Keys) != 0 {
		f.Errorf("%d sessions are rotating", len(page.Keys))
	}
	summary, err := f.Summary(f.ctx(), "acme", f.clock.Now())
	f.must(err)
	state, err := f.Owner(f.ctx(), "acme", f.clock.Now())
	f.must(err)
	if summary.Active != 1 || state.Keys.Active != 1 {
		f.Errorf("a session counts: %+v, %+v", summary, state.Keys)
	}
	events, err := f.AuditEvents(f.ctx(), store.EventQuery{Key: key.ID, Limit: 9})
	f.must(err)
	if len(events) != 1 || events[0].Action != store.ActionSession || events[0].Name != "alice" || events[0].Via != "single sign-on" ||
		events[0].Address != "192.0.2.7" || events[0].RequestID != "a request" || !events[0].Actor.IsZero() {
		f.Errorf("the events of a session are %+v", events)
	}
	_, err = f.rename(operator, store.ByID(key.ID), "bob")
	f.wantDenied(err)
	_, err = f.RotateKey(f.ctx(), operator, store.ByID(key.ID), from(key, 0))
	f.wantDenied(err)
	f.wantDenied(f.StartSession(f.ctx(), actorOf(other), key))
	f.wantKey(f.get(store.ByID(key.ID)), key)
}

// ignore drops a result.
func ignore[T any](_ T, err error) error { return err }

func testSessionEnd(f *fixture) {
	one, two := f.session("alice"), f.session("alice", apikey.ScopeWrite)
	f.must(f.CreateKey(f.ctx(), actorOf(two), f.draft("acme", "by a session")))
	f.must(f.EndSession(f.ctx(), actorOf(one)))
	if ended := f.get(store.ByID(one.ID)); !ended.IsRevoked() || ended.RevocationReason != apikey.ReasonNoLongerUsed {
		f.Errorf("an ended session is %+v", ended)
	}
	if err := f.EndSession(f.ctx(), actorOf(one)); !errors.Is(err, store.ErrActorGone) {
		f.Errorf("ending an ended session: %v", err)
	}
	if err := f.EndSession(f.ctx(), actorOf(f.create("acme", "a key"))); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("ending what is no session: %v", err)
	}
	f.must(ignore(f.RevokeKey(f.ctx(), operator, store.ByID(two.ID), apikey.ReasonPolicy)))
	if err := f.CreateKey(f.ctx(), actorOf(two), f.draft("acme", "too late")); !errors.Is(err, store.ErrActorGone) {
		f.Errorf("a change by a revoked session: %v", err)
	}
}

// link stores a link.
func (f *fixture) link(by store.Actor, scopes ...string) apikey.Link {
	f.Helper()
	link, _, err := apikey.NewLink(f.clock.Now(), apikey.Link{Owner: "acme", Name: "bob", Scopes: scopes, Lasts: time.Hour})
	f.must(err)
	f.must(f.CreateLink(f.ctx(), by, link))
	return link
}

// open opens a link.
func (f *fixture) open(l apikey.Link) (key apikey.Key, err error) {
	err = f.OpenLink(f.ctx(), store.Visitor("owner link", "192.0.2.7", ""), l.ID, l.Token, func(found apikey.Link, creator *apikey.Key) (apikey.Key, error) {
		key, _, err = apikey.Policy{}.NewSessionKey(f.clock.Now(), found.Settings(f.clock.Now(), apikey.Policy{}, creator), apikey.SessionLink, found.ID)
		return key, err
	})
	return key, err
}

func testLink(f *fixture) {
	creator := f.create("acme", "backend", apikey.ScopeRead, apikey.ScopeWrite, "data:read")
	for _, by := range []store.Actor{operator, actorOf(creator)} {
		link := f.link(by, apikey.ScopeRead, apikey.ScopeWrite, "data:read")
		wrong := link
		wrong.Token[0]++
		if _, err := f.open(wrong); !errors.Is(err, apikey.ErrNoLink) {
			f.Errorf("a link with another token: %v", err)
		}
		key, err := f.open(link)
		f.must(err)
		f.wantKey(f.get(store.ByID(link.ID)), key)
		if key.Owner != "acme" || key.Name != "bob" || key.Scopes.String() != link.Scopes.String() || !key.ExpiresAt.Equal(f.clock.Now().Add(time.Hour)) {
			f.Errorf("the session of a link is %+v", key)
		}
		if _, err := f.open(link); !errors.Is(err, apikey.ErrNoLink) {
			f.Errorf("a link that was opened: %v", err)
		}
		events, err := f.AuditEvents(f.ctx(), store.EventQuery{Key: link.ID, Limit: 9})
		f.must(err)
		if len(events) != 2 || events[1].Action != store.ActionCreateLink || events[0].Action != store.ActionSession ||
			events[0].Actor != by.Key || events[1].Actor != by.Key || events[0].Address != "192.0.2.7" {
			f.Errorf("the events of a link by %s are %+v", by.Key, events)
		}

		// By a link nobody gets a key that outlives it and manages keys.
		child := f.draft("acme", "child "+link.ID.String())
		child.Scopes = apikey.Scopes{"data:read"}
		f.must(f.CreateKey(f.ctx(), actorOf(key), child))
		child = f.draft("acme", "escalated")
		child.Scopes = apikey.Scopes{apikey.ScopeRead}
		f.wantDenied(f.CreateKey(f.ctx(), actorOf(key), child))
		_, err = f.RotateKey(f.ctx(), actorOf(key), store.ByID(creator.ID), from(creator, 0))
		f.wantDenied(err)
		more, _, err := apikey.NewLink(f.clock.Now(), apikey.Link{Owner: "acme", Name: "b", Scopes: apikey.Scopes{apikey.ScopeRead}, Lasts: time.Hour})
		f.must(err)
		f.wantDenied(f.CreateLink(f.ctx(), actorOf(key), more))
	}
	lacking := f.create("acme", "lacking", apikey.ScopeRead, apikey.ScopeWrite)
	foreign := f.create("other", "foreign", apikey.ScopeRead, apikey.ScopeWrite, "data:read")
	reader := f.create("acme", "reader", apikey.ScopeRead, "data:read")
	link, _, err := apikey.NewLink(f.clock.Now(), apikey.Link{
		Owner: "acme", Name: "b", Scopes: apikey.Scopes{apikey.ScopeRead, "data:read"}, Lasts: time.Hour,
	})
	f.must(err)
	for _, by := range []apikey.Key{lacking, foreign, reader} {
		f.wantDenied(f.CreateLink(f.ctx(), actorOf(by), link))
	}
}

func testLinkRefused(f *fixture) {
	old := f.link(operator, apikey.ScopeRead)
	f.clock.Advance(apikey.LinkTime)
	if _, err := f.open(old); !errors.Is(err, apikey.ErrNoLink) {
		f.Errorf("a link after five minutes: %v", err)
	}
	for name, spoil := range map[string]func(creator apikey.Key){
		"revoked": func(k apikey.Key) { f.revoke(store.ByID(k.ID)) },
		"lacks a scope": func(k apikey.Key) {
			f.must(ignore(f.UpdateKey(f.ctx(), operator, store.ByID(k.ID), apikey.Change{Scopes: &apikey.Scopes{apikey.ScopeWrite}})))
		},
		"suspended": func(k apikey.Key) { f.suspend(k, true) },
	} {
		creator := f.create("acme", "creator that is "+name, apikey.ScopeRead, apikey.ScopeWrite)
		link := f.link(actorOf(creator), apikey.ScopeRead)
		spoil(creator)
		if _, err := f.open(link); !errors.Is(err, apikey.ErrNoLink) {
			f.Errorf("a link whose creator is %s: %v", name, err)
		}
	}
	kept := f.link(operator, apikey.ScopeRead)
	failure := errors.New("no key")
	err := f.OpenLink(f.ctx(), store.Visitor("owner link", "", ""), kept.ID, kept.Token, func(apikey.Link, *apikey.Key) (apikey.Key, error) {
		return apikey.Key{}, &apikey.DeniedError{Reason: failure.Error()}
	})
	f.wantDenied(err)
	f.must(ignore(f.open(kept)))
}

func testLinkAtOnce(f *fixture) {
	link := f.link(operator, apikey.ScopeRead)
	opened := f.atOnce(8, apikey.ErrNoLink, func(int) error { return ignore(f.open(link)) })
	if opened != 1 {
		f.Errorf("%d opened a link", opened)
	}
}

func testPruneSessions(f *fixture) {
	old, link := f.session("old"), f.link(operator, apikey.ScopeRead)
	f.clock.Advance(2 * time.Hour)
	living := f.session("living", "a")
	removed, err := f.PruneSessions(f.ctx(), f.clock.Now())
	f.must(err)
	if removed != 1 {
		f.Errorf("%d sessions were removed, want 1", removed)
	}
	if _, err := f.Key(f.ctx(), store.ByID(old.ID)); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("a removed session: %v", err)
	}
	f.wantKey(f.get(store.ByID(living.ID)), living)
	if _, err := f.open(link); !errors.Is(err, apikey.ErrNoLink) {
		f.Errorf("a removed link: %v", err)
	}
}
