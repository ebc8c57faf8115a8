package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// attempts are the ways in which an actor changes something.
func (f *fixture) attempts(target store.Ref) map[string]func(store.Actor) error {
	return map[string]func(store.Actor) error{
		"create": func(a store.Actor) error {
			return f.CreateKey(f.ctx(), a, f.draft("acme", "key "+apikey.NewID().String()))
		},
		"update": func(a store.Actor) error {
			_, err := f.rename(a, target, "key "+apikey.NewID().String())
			return err
		},
		"revoke": func(a store.Actor) error {
			_, err := f.RevokeKey(f.ctx(), a, target, apikey.ReasonUnspecified)
			return err
		},
		"rotate": func(a store.Actor) error {
			_, err := f.RotateKey(f.ctx(), a, target, from(f.get(target), 0))
			return err
		},
	}
}

func testActorGone(f *fixture) {
	target := f.create("acme", "target")
	revoked := f.create("acme", "revoked", apikey.ScopeAdmin)
	f.revoke(store.ByID(revoked.ID))
	wrongSecret := f.create("acme", "wrong secret", apikey.ScopeAdmin)
	wrongSecret.SecretHash = target.SecretHash
	suspended := f.suspend(f.create("acme", "suspended", apikey.ScopeAdmin), true)
	expired := f.create("acme", "expired", apikey.ScopeAdmin)
	f.clock.Advance(time.Hour)

	for name, key := range map[string]apikey.Key{
		"revoked": revoked, "suspended": suspended, "expired": expired, "wrong secret": wrongSecret, "unknown": f.draft("acme", "unknown"),
	} {
		for verb, attempt := range f.attempts(store.ByID(target.ID)) {
			if err := attempt(actorOf(key)); !errors.Is(err, store.ErrActorGone) {
				f.Errorf("%s by a key that is %s: %v", verb, name, err)
			}
		}
	}
	for verb, attempt := range f.attempts(store.ByID(target.ID)) {
		if err := attempt(store.Actor{}); !errors.Is(err, store.ErrActorGone) {
			f.Errorf("%s by nobody: %v", verb, err)
		}
	}
	f.wantKey(f.get(store.ByID(target.ID)), target)
}

func testAuthority(f *fixture) {
	reader := f.create("acme", "reader", apikey.ScopeRead)
	writer := f.create("acme", "writer", apikey.ScopeRead, apikey.ScopeWrite)
	admin := f.create("acme", "admin", apikey.ScopeAdmin)
	stranger := f.create("other", "stranger")

	// keys:write is checked again inside the transaction.
	for _, attempt := range f.attempts(store.ByID(reader.ID)) {
		f.wantDenied(attempt(actorOf(reader)))
	}
	// A key with scopes that the actor lacks is out of its reach, revoked or not.
	f.wantDenied(second(f.rename(actorOf(writer), store.ByID(admin.ID), "mine")))
	f.wantDenied(second(f.RevokeKey(f.ctx(), actorOf(writer), store.ByID(admin.ID), apikey.ReasonUnspecified)))
	// Nor can it create such a key, or add such scopes to one.
	f.wantDenied(f.CreateKey(f.ctx(), actorOf(writer), f.draft("acme", "child", apikey.ScopeAdmin)))
	f.wantDenied(f.CreateKey(f.ctx(), actorOf(writer), f.draft("acme", "child", "datasets:read")))
	for _, ref := range []store.Ref{store.ByID(writer.ID), store.ByID(reader.ID)} {
		raised := apikey.Scopes{apikey.ScopeRead, apikey.ScopeVerify}
		f.wantDenied(second(f.UpdateKey(f.ctx(), actorOf(writer), ref, apikey.Change{Scopes: &raised})))
	}
	// For the actor, another owner's key does not exist.
	f.wantDenied(f.CreateKey(f.ctx(), actorOf(writer), f.draft("other", "child")))
	f.wantErr(second(f.rename(actorOf(writer), store.ByID(stranger.ID), "mine")), store.ErrNotFound)
	f.wantErr(second(f.RevokeKey(f.ctx(), actorOf(writer), store.ByID(stranger.ID), apikey.ReasonUnspecified)), store.ErrNotFound)

	// What the actor may do, and what an admin may.
	f.must(f.CreateKey(f.ctx(), actorOf(writer), f.draft("acme", "child", apikey.ScopeWrite)))
	f.must(second(f.rename(actorOf(writer), store.ByID(reader.ID), "reader 2")))
	f.must(f.CreateKey(f.ctx(), actorOf(admin), f.draft("other", "from admin", "datasets:read")))
	f.must(second(f.rename(actorOf(admin), store.ByID(stranger.ID), "renamed by admin")))
	f.must(second(f.RevokeKey(f.ctx(), actorOf(writer), store.ByID(writer.ID), apikey.ReasonUnspecified)))
}

// testActorRace changes keys with one actor while its secret ends, in each way: all changes
// must have been made before the end.
func testActorRace(f *fixture) {
	ends := []func(apikey.Key){
		func(key apikey.Key) { f.revoke(store.ByID(key.ID)) },
		func(key apikey.Key) { f.suspend(key, true) },
		func(key apikey.Key) { f.rotate(key, 0) },
		func(key apikey.Key) { f.must(second(f.EndSecret(f.ctx(), finder(key)))) },
	}
	for round := range 10 * len(ends) {
		actor := f.create("acme", fmt.Sprint("actor ", round), apikey.ScopeWrite)
		var wg sync.WaitGroup
		started, answered := make(chan struct{}), make(chan struct{})
		for worker := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					var after bool
					select {
					case <-answered:
						after = true
					default:
					}
					err := f.CreateKey(f.ctx(), actorOf(actor), f.draft("acme", fmt.Sprint(round, worker, i)))
					if i == 0 && worker == 0 {
						close(started)
					}
					if after && err == nil {
						f.Errorf("a key was created after the end of its creator's secret was answered")
						return
					}
					if err != nil {
						f.wantErr(err, store.ErrActorGone)
						return
					}
				}
			})
		}
		<-started
		ends[round%len(ends)](actor)
		close(answered)
		wg.Wait()
	}
	f.wantEndedLast()
}

// wantEndedLast checks in the audit log that no actor did anything after the end of its
// secret. Events come newest first.
func (f *fixture) wantEndedLast() {
	f.Helper()
	acted := map[apikey.ID]bool{}
	events, err := f.AuditEvents(f.ctx(), store.EventQuery{Limit: 100_000})
	f.must(err)
	for _, event := range events {
		switch event.Action {
		case store.ActionRevoke, store.ActionRotate, store.ActionLeak:
			if acted[event.Key] {
				f.Errorf("%s acted after its %s", event.Name, event.Action)
			}
		}
		acted[event.Actor] = true
	}
}

func testAudit(f *fixture) {
	admin := f.create("acme", "admin", apikey.ScopeAdmin)
	actor := actorOf(admin)
	key := f.draft("other", "ci")
	f.must(f.CreateKey(f.ctx(), actor, key))
	f.clock.Advance(time.Second)
	f.must(second(f.rename(actor, store.ByID(key.ID), "cd")))
	f.must(second(f.rename(actor, store.ByID(key.ID), "cd")))
	f.must(second(f.RevokeKey(f.ctx(), operator, store.ByID(key.ID), apikey.ReasonUnspecified)))
	f.must(second(f.RevokeKey(f.ctx(), operator, store.ByID(key.ID), apikey.ReasonUnspecified)))
	// A failed change leaves no trace.
	f.wantErr(f.CreateKey(f.ctx(), actor, f.draft("acme", "admin")), store.ErrNameTaken)
	f.wantErr(second(f.rename(actor, store.ByID(key.ID), "x")), store.ErrRevoked)

	start, later := f.clock.Now().Add(-time.Second), f.clock.Now()
	f.wantEvents(f.events(),
		store.Event{At: later, Action: store.ActionRevoke, Key: key.ID, Owner: "other", Name: "cd", Via: "storetest",
			Changes: apikey.Differences{
				f.changed("revocation_reason", nil, apikey.ReasonUnspecified),
				f.changed("revoked_at", nil, apikey.Timestamp(later))}},
		store.Event{At: later, Action: store.ActionUpdate, Key: key.ID, Owner: "other", Name: "cd",
			Actor: admin.ID, Via: "http", Address: "192.0.2.1", RequestID: "R1",
			Changes: apikey.Differences{f.changed("name", "ci", "cd")}},
		store.Event{At: start, Action: store.ActionCreate, Key: key.ID, Owner: "other", Name: "ci",
			Actor: admin.ID, Via: "http", Address: "192.0.2.1", RequestID: "R1", Changes: f.creation(key)},
		store.Event{At: start, Action: store.ActionCreate, Key: admin.ID, Owner: "acme", Name: "admin", Via: "storetest",
			Changes: f.creation(admin)})
}

func second[T any](_ T, err error) error { return err }
