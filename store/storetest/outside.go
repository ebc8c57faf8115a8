package storetest

import (
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// outsideEvents returns the addresses of a key's uses from outside that were recorded, latest first.
func (f *fixture) outsideEvents(key apikey.Key) (from []string) {
	f.Helper()
	events, err := f.AuditEvents(f.ctx(), store.EventQuery{Key: key.ID, Action: store.ActionOutside, Limit: 100})
	f.must(err)
	for _, e := range events {
		from = append(from, e.Address)
	}
	return from
}

func testOutside(f *fixture) {
	add := func(name string, networks ...string) apikey.Key {
		return f.add(apikey.Settings{Owner: "acme", Name: name, ObserveCIDRs: apikey.ParseCIDRs(networks)})
	}
	key, other, blind := add("observed", "192.0.2.0/24"), add("other", "192.0.2.0/24"), add("not observed")
	record := func(key apikey.Key, from string) {
		f.Helper()
		f.must(f.RecordOutside(f.ctx(), key.ID, from))
	}
	record(key, "198.51.100.1")
	f.wantEvents(f.events()[:1], store.Event{
		At: f.clock.Now(), Action: store.ActionOutside, Key: key.ID, Owner: "acme", Name: "observed",
		Actor: key.ID, Via: "http", Address: "198.51.100.1",
	})
	f.wantKey(f.get(store.ByID(key.ID)), key)

	// Once an hour and key.
	f.atOnce(8, store.ErrNotFound, func(int) error { return f.RecordOutside(f.ctx(), other.ID, "") })
	record(key, "198.51.100.2")
	f.clock.Advance(time.Hour - time.Millisecond)
	record(key, "198.51.100.3")
	f.clock.Advance(time.Millisecond)
	record(key, "2001:db8::1")
	for want, got := range map[string][]string{
		"2001:db8::1 198.51.100.1": f.outsideEvents(key), "": f.outsideEvents(other),
	} {
		if strings.Join(got, " ") != want || want == "" && len(got) != 1 {
			f.Errorf("recorded uses are from %q, want %q", got, want)
		}
	}

	record(blind, "198.51.100.1")
	f.revoke(store.ByID(other.ID))
	f.clock.Advance(2 * time.Hour)
	record(other, "198.51.100.1")
	f.must(f.RecordOutside(f.ctx(), apikey.NewID(), "198.51.100.1"))
	if got := append(f.outsideEvents(blind), f.outsideEvents(other)...); len(got) != 1 {
		f.Errorf("uses of keys that observe nothing or are revoked are recorded: %q", got)
	}
	f.wantChains(3 + 3 + 1)
}
