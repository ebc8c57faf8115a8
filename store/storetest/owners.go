package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

// changeOwner changes an owner as the operator.
func (f *fixture) changeOwner(name string, change apikey.OwnerChange) apikey.Owner {
	f.Helper()
	owner, err := f.UpdateOwner(f.ctx(), operator, name, change)
	f.must(err)
	return owner
}

func (f *fixture) wantOwner(name string, settings apikey.OwnerSettings, counts store.KeyCounts, used time.Time) {
	f.Helper()
	want := store.OwnerState{Owner: apikey.Owner{Name: name, OwnerSettings: settings}, Keys: counts, LastUsedAt: used}
	got, err := f.Owner(f.ctx(), name, f.clock.Now())
	f.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("owner %q differs (-want +got):\n%s", name, diff)
	}
	stored, _, err := f.OwnerSettings(f.ctx(), name)
	f.must(err)
	if diff := cmp.Diff(settings, stored); diff != "" {
		f.Errorf("the settings of %q differ (-want +got):\n%s", name, diff)
	}
}

func testOwners(f *fixture) {
	unset := apikey.OwnerSettings{Metadata: apikey.Metadata{}}
	if _, err := f.Owner(f.ctx(), "acme", f.clock.Now()); !errors.Is(err, store.ErrNoOwner) {
		f.Errorf("an owner without keys: %v", err)
	}
	_, err := f.UpdateOwner(f.ctx(), operator, "acme", apikey.OwnerChange{Suspended: new(false), Metadata: &apikey.Metadata{}})
	f.wantErr(err, store.ErrNoOwner)
	key := f.create("acme", "ci")
	f.wantOwner("acme", unset, store.KeyCounts{Active: 1}, time.Time{})
	if _, none, err := f.OwnerSettings(f.ctx(), "acme"); err != nil || !none {
		f.Errorf("no owner was changed: %t, %v", none, err)
	}
	events := len(f.events())
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(0), Quota: &apikey.Quota{}, RateLimit: &apikey.RateLimit{}})
	if len(f.events()) != events {
		f.Error("a change that changes nothing is an event")
	}
	set := apikey.OwnerSettings{
		Suspended: true, MaxKeys: apikey.MaxMaxKeys, RateLimit: apikey.RateLimit{Limit: 7, Window: 90 * time.Second},
		Quota:        apikey.Quota{Limit: apikey.MaxQuota, Period: apikey.Month, StartsOn: 31},
		AllowedCIDRs: apikey.ParseCIDRs([]string{"192.0.2.0/24", "::/0"}),
	}
	for name, metadata := range metadataSamples() {
		set.Metadata = metadata
		got := f.changeOwner("acme "+name, apikey.OwnerChange{
			Suspended: &set.Suspended, MaxKeys: &set.MaxKeys, RateLimit: &set.RateLimit, Quota: &set.Quota, Metadata: &set.Metadata,
			AllowedCIDRs: &set.AllowedCIDRs,
		})
		if diff := cmp.Diff(apikey.Owner{Name: "acme " + name, OwnerSettings: set}, got); diff != "" {
			f.Errorf("the answer differs (-want +got):\n%s", diff)
		}
		f.wantOwner("acme "+name, set, store.KeyCounts{}, time.Time{})
	}
	if _, none, err := f.OwnerSettings(f.ctx(), "acme"); err != nil || none {
		f.Errorf("some owner was changed: %t, %v", none, err)
	}
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(3)})
	f.wantEvents(f.events()[:1], store.Event{
		At: f.clock.Now(), Action: store.ActionUpdateOwner, Owner: "acme", Name: "acme", Via: "storetest",
		Changes: apikey.Differences{f.changed("max_keys", nil, 3)},
	})
	used := f.clock.Now().Add(time.Minute)
	f.must(f.RecordUses(f.ctx(), []store.Use{{Key: key.ID, LastUsedAt: used}}))
	f.revoke(store.ByID(f.create("acme", "revoked").ID))
	f.suspend(f.create("acme", "suspended"), true)
	f.add(apikey.Settings{Owner: "acme", Name: "soon", ExpiresAt: f.clock.Now().Add(time.Second)})
	f.clock.Advance(time.Second)
	f.wantOwner("acme", apikey.OwnerSettings{MaxKeys: 3, Metadata: apikey.Metadata{}},
		store.KeyCounts{Active: 1, Expired: 1, Revoked: 2, Suspended: 1}, used)
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(0)})
	f.wantOwner("acme", unset, store.KeyCounts{Active: 1, Expired: 1, Revoked: 2, Suspended: 1}, used)
	for _, report := range f.verifyAudit() {
		if len(report.Faults) > 0 {
			f.Errorf("the chain has faults: %q", report.Faults)
		}
	}
}

func (f *fixture) verifyAudit() []store.ChainReport {
	f.Helper()
	reports, err := f.VerifyAudit(f.ctx())
	f.must(err)
	return reports
}

func testOwnerLists(f *fixture) {
	for _, owner := range []string{"b", "a", "É", "Éa", "c%", "z"} {
		f.create(owner, "ci")
	}
	f.create("b", "ci 2")
	for _, owner := range []string{"b", "unused", "a_"} {
		f.changeOwner(owner, apikey.OwnerChange{MaxKeys: new(9)})
	}
	for _, owner := range []string{"z", "gone"} {
		f.changeOwner(owner, apikey.OwnerChange{Suspended: new(true)})
	}
	all := []string{"a", "a_", "b", "c%", "gone", "unused", "z", "É", "Éa"}
	for _, tt := range []struct {
		q    store.OwnerQuery
		want []string
	}{
		{store.OwnerQuery{}, all},
		{store.OwnerQuery{After: "c%"}, all[4:]},
		{store.OwnerQuery{After: "c"}, all[3:]},
		{store.OwnerQuery{After: "~~~~"}, all[7:]},
		{store.OwnerQuery{Search: "A"}, []string{"a", "a_", "Éa"}},
		{store.OwnerQuery{Search: "é"}, []string{"É", "Éa"}},
		{store.OwnerQuery{Search: "%"}, []string{"c%"}},
		{store.OwnerQuery{Search: "_"}, []string{"a_"}},
		{store.OwnerQuery{Search: "none"}, nil},
		{store.OwnerQuery{Enabled: new(false)}, []string{"gone", "z"}},
		{store.OwnerQuery{Enabled: new(true)}, []string{"a", "a_", "b", "c%", "unused", "É", "Éa"}},
		{store.OwnerQuery{Enabled: new(true), Search: "e"}, []string{"unused"}},
	} {
		for _, tt.q.Limit = range []int{1, 2, len(all), 100} {
			tt.q.At = f.clock.Now()
			var got []string
			for q := tt.q; ; {
				page, err := f.Owners(f.ctx(), q)
				f.must(err)
				for _, o := range page.Owners {
					got = append(got, o.Name)
				}
				if !page.More {
					break
				}
				q.After = got[len(got)-1]
			}
			if !slices.Equal(got, tt.want) {
				f.Errorf("%+v: %q, want %q", tt.q, got, tt.want)
			}
		}
	}
	page, err := f.Owners(f.ctx(), store.OwnerQuery{Limit: 3, At: f.clock.Now()})
	f.must(err)
	if b := page.Owners[2]; !page.More || b.Keys.Active != 2 || b.MaxKeys != 9 || page.Owners[1].Keys.Active != 0 {
		f.Errorf("the first three owners are %+v", page)
	}
}

func testOwnerAuthority(f *fixture) {
	writer := f.create("acme", "writer", apikey.ScopeRead, apikey.ScopeWrite)
	admin := f.create("ops", "admin", apikey.ScopeAdmin)
	change := apikey.OwnerChange{MaxKeys: new(1)}
	f.wantDenied(second(f.UpdateOwner(f.ctx(), actorOf(writer), "acme", change)))
	f.wantErr(second(f.UpdateOwner(f.ctx(), store.Actor{}, "acme", change)), store.ErrActorGone)
	f.wantOwner("acme", apikey.OwnerSettings{Metadata: apikey.Metadata{}}, store.KeyCounts{Active: 1}, time.Time{})
	f.must(second(f.UpdateOwner(f.ctx(), actorOf(admin), "acme", change)))
	if event := f.events()[0]; event.Actor != admin.ID || event.Address != "192.0.2.1" {
		f.Errorf("the event is %+v", event)
	}
}

// Nothing that an owner's keys change is made after the answer to its suspension.
func testOwnerSuspension(f *fixture) {
	target := f.create("acme", "target")
	for round := range 10 {
		owner := fmt.Sprint("owner ", round)
		actor := f.create(owner, "actor", apikey.ScopeAdmin)
		var wg sync.WaitGroup
		started, answered := make(chan struct{}), make(chan struct{})
		start := sync.OnceFunc(func() { close(started) })
		for range 4 {
			wg.Go(func() {
				for {
					after := false
					select {
					case <-answered:
						after = true
					default:
					}
					_, err := f.rename(actorOf(actor), store.ByID(target.ID), "key "+apikey.NewID().String())
					start()
					if errors.Is(err, store.ErrActorGone) {
						return
					}
					if err != nil || after {
						f.Errorf("a change after the suspension was answered: %t, %v", after, err)
						return
					}
				}
			})
		}
		<-started
		f.changeOwner(owner, apikey.OwnerChange{Suspended: new(true)})
		close(answered)
		wg.Wait()
		f.changeOwner(owner, apikey.OwnerChange{Suspended: new(false)})
		f.must(second(f.rename(actorOf(actor), store.ByID(target.ID), "again "+owner)))
	}
}

func testMaxKeys(f *fixture) {
	create := func(owner, name string) error { return f.CreateKey(f.ctx(), operator, f.draft(owner, name)) }
	wantRoom := func(want int, bounded bool) {
		f.Helper()
		room, has, err := f.Room(f.ctx(), "acme", f.clock.Now())
		if room != want || has != bounded || err != nil {
			f.Errorf("there is room for %d (%t), %v; want %d (%t)", room, has, err, want, bounded)
		}
	}
	first := f.create("acme", "1")
	wantRoom(0, false)
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(2)})
	wantRoom(1, true)
	other := f.create("acme", "2")
	wantRoom(0, true)
	f.wantErr(create("acme", "3"), store.ErrTooManyKeys)
	f.wantErr(create("acme", "3"), store.ErrTooManyKeys)
	f.must(create("other", "3"))
	f.suspend(first, true)
	wantRoom(0, true)
	f.wantErr(create("acme", "3"), store.ErrTooManyKeys)
	f.suspend(first, false)
	f.rotate(other, 0)
	f.revoke(store.ByID(first.ID))
	wantRoom(1, true)
	third := f.create("acme", "3")
	f.wantErr(create("acme", "4"), store.ErrTooManyKeys)
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(3)})
	f.must(create("acme", "4"))
	f.wantErr(create("acme", "5"), store.ErrTooManyKeys)
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(1)})
	f.wantErr(create("acme", "5"), store.ErrTooManyKeys)

	// Expired keys do not count, until they are prolonged.
	f.clock.Advance(time.Hour)
	wantRoom(1, true)
	later := f.clock.Now().Add(time.Hour)
	prolong := apikey.Change{ExpiresAt: &later}
	f.must(second(f.UpdateKey(f.ctx(), operator, store.ByID(third.ID), prolong)))
	if _, err := f.UpdateKey(f.ctx(), operator, store.ByID(other.ID), prolong); !errors.Is(err, store.ErrTooManyKeys) {
		f.Errorf("an expired key too many is prolonged: %v", err)
	}
	later = later.Add(time.Hour)
	f.must(second(f.UpdateKey(f.ctx(), operator, store.ByID(third.ID), prolong)))
	f.wantErr(create("acme", "5"), store.ErrTooManyKeys)
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(0)})
	f.must(create("acme", "5"))
}

// Of many creations at once, exactly as many succeed as the owner may have, with other changes among them.
func testMaxKeysAtOnce(f *fixture) {
	const most, callers = 7, 64
	owners := []string{"a", "b", "c"}
	for _, owner := range owners {
		f.changeOwner(owner, apikey.OwnerChange{MaxKeys: new(most)})
	}
	made := f.atOnce(callers, store.ErrTooManyKeys, func(i int) error {
		owner := owners[i%len(owners)]
		if i%8 == 7 {
			f.changeOwner(owner, apikey.OwnerChange{Metadata: &apikey.Metadata{"i": fmt.Sprint(i)}})
		}
		return f.CreateKey(f.ctx(), operator, f.draft(owner, strings.Repeat("k", i+1)))
	})
	if made != most*len(owners) {
		f.Errorf("%d keys were created, want %d", made, most*len(owners))
	}
}
