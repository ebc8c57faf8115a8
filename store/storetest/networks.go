package storetest

import (
	"fmt"

	"apikeyd/apikey"
	"apikeyd/store"
)

// restrict changes the networks that a key may be used from.
func (f *fixture) restrict(actor store.Actor, key apikey.Key, networks ...string) (apikey.Key, error) {
	f.Helper()
	return f.UpdateKey(f.ctx(), actor, store.ByID(key.ID), apikey.Change{AllowedCIDRs: new(apikey.ParseCIDRs(networks))})
}

func testNetworks(f *fixture) {
	observed := apikey.ParseCIDRs([]string{"0.0.0.0/0", "::/0"})
	born := f.add(apikey.Settings{
		Owner: "acme", Name: "born", Scopes: apikey.Scopes{apikey.ScopeWrite},
		AllowedCIDRs: apikey.ParseCIDRs([]string{"192.0.2.0/24", "2001:db8::7"}), ObserveCIDRs: observed,
	})
	f.wantKey(f.get(store.ByID(born.ID)), born)
	want := born
	for _, networks := range [][]string{{"192.0.2.7"}, {"::/0", "10.0.0.0/8"}, {}, {"192.0.2.0/24"}} {
		want.AllowedCIDRs = apikey.ParseCIDRs(networks)
		got, err := f.restrict(operator, born, networks...)
		f.must(err)
		f.wantKey(got, want)
		f.wantKey(f.get(store.ByID(born.ID)), want)
	}
	if changes := f.events()[0].Changes.String(); changes != `{"allowed_cidrs":{"to":["192.0.2.0/24"]}}` {
		f.Errorf("the last event has %s", changes)
	}

	// A call that was under way when the key was restricted changes nothing.
	other := f.create("acme", "other")
	for from, err := range map[string]error{"192.0.2.9": nil, "::ffff:192.0.2.9": nil, "198.51.100.1": store.ErrActorGone, "": store.ErrActorGone} {
		actor := actorOf(want)
		actor.Address = from
		f.wantErr(second(f.rename(actor, store.ByID(want.ID), "renamed from "+from)), err)
	}
	actor := actorOf(want)
	actor.Address = "192.0.2.9"
	for _, tt := range []struct {
		networks []string
		err      error
	}{{[]string{"192.0.2.0/28"}, nil}, {[]string{"192.0.2.0/30", "::/0"}, store.ErrActorGone}, {nil, nil}} {
		f.changeOwner("acme", apikey.OwnerChange{AllowedCIDRs: new(apikey.ParseCIDRs(tt.networks))})
		f.wantErr(second(f.rename(actor, store.ByID(want.ID), fmt.Sprint("renamed, and its owner has ", tt.networks))), tt.err)
	}
	f.wantDenied(second(f.rename(actor, store.ByID(other.ID), "taken over")))
	f.wantDenied(second(f.restrict(actor, want))) // frees itself
}
