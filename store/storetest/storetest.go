// Package storetest is the conformance suite of store.Store: it checks what the interface
// promises against a real database.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Clock stands still until it is advanced. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows a whole millisecond.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
}

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Run checks a Store. open must return a fresh, empty Store that uses now as its
// clock and is closed when the test ends.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) store.Store) {
	t.Helper()
	tests := map[string]func(*fixture){
		"a key comes back as it was stored":    testRoundTrip,
		"look-up by id and by name":            testLookUp,
		"names are unique among living keys":   testNames,
		"names compare byte for byte":          testNameBytes,
		"one of many creates wins a name":      testConcurrentCreates,
		"one of many renames wins a name":      testConcurrentRenames,
		"update changes what it is told to":    testUpdate,
		"an expired key can be prolonged":      testProlong,
		"a revoked key cannot be changed":      testUpdateRevoked,
		"revoking twice changes nothing":       testRevokeTwice,
		"networks of a key":                    testNetworks,
		"uses from outside are recorded":       testOutside,
		"suspension and its end":               testSuspension,
		"who may suspend a key":                testSuspensionAuthority,
		"a revocation ends a suspension":       testRevokeSuspended,
		"reasons of revocations":               testReasons,
		"lists are newest first and complete":  testList,
		"uses move forward only":               testRecordUses,
		"where a key was last used from":       testLastUsedFrom,
		"uses are counted":                     testCountedUses,
		"uses are counted once by many":        testCountedAtOnce,
		"old hours become days":                testPruneUsage,
		"each hour becomes a day once":         testPruneUsageAtOnce,
		"what was seen of a key":               testSeen,
		"an actor that is no longer good":      testActorGone,
		"an actor stays within its authority":  testAuthority,
		"nothing commits after a secret's end": testActorRace,
		"every change leaves one audit event":  testAudit,
		"events say what became of what":       testEventChanges,
		"events are found by filters":          testEventFilters,
		"events are read on from one":          testEventPages,
		"all events are gone through":          testEachEvent,
		"a chain has no gaps":                  testChain,
		"a chain is held against a record":     testExpectedMarks,
		"the oldest events are pruned":         testPruneEvents,
		"a wrong clock prunes a day at most":   testPruneOneDay,
		"owners are what was set for them":     testOwners,
		"lists of owners":                      testOwnerLists,
		"only admins change owners":            testOwnerAuthority,
		"keys of a suspended owner do nothing": testOwnerSuspension,
		"keys show their owner's suspension":   testStatusOfSuspendedOwner,
		"an owner's bound of keys":             testMaxKeys,
		"an owner's bound under load":          testMaxKeysAtOnce,
		"webhooks are what was set for them":   testWebhooks,
		"only admins change webhooks":          testWebhookAuthority,
		"what a webhook hears":                 testWebhookEvents,
		"what became of deliveries":            testWebhookAttempts,
		"deliveries do not pile up":            testWebhookBounds,
		"one event of many is heard":           testWebhookFewEvents,
		"one process delivers":                 testWebhookTurn,
		"notices of ends":                      testEndNotices,
		"notices of what may not be used":      testNoNotices,
		"notices of graces":                    testGraceNotices,
		"notices of old secrets":               testSecretNotices,
		"notices of quotas":                    testQuotaNotices,
		"notices of networks":                  testNetworkNotices,
		"a notice is written once by many":     testNoticesAtOnce,
		"many notices":                         testManyNotices,
		"settings come back as they went in":   testSettings,
		"settings change as a whole":           testChangeSettings,
		"rate limits are for admins to set":    testRateLimitAuthority,
		"the key of a session":                 testSession,
		"who ends a session":                   testSessionEnd,
		"a link is opened once":                testLink,
		"a link that must not open":            testLinkRefused,
		"one of many opens a link":             testLinkAtOnce,
		"old sessions are removed":             testPruneSessions,
		"foreign secrets lead to their keys":   testForeign,
		"a secret is imported once":            testImportTwice,
		"one of many imports wins":             testImportAtOnce,
		"only admins import keys":              testImportAuthority,
		"a filter finds foreign secrets":       testForeignFilter,
		"a foreign secret is reported":         testEndForeignSecret,
		"units of quotas are counted":          testQuotas,
		"no more units than a quota has":       testQuotasAtOnce,
		"filters narrow a list":                testFilters,
		"unused since before it was made":      testUnusedFromCreation,
		"a part of a name is found literally":  testNameContains,
		"an entry of metadata is found whole":  testMetadataFilter,
		"a search ignores case":                testSearchCase,
		"a search finds prefixes and owners":   testSearchPlaces,
		"a walk sees every key once":           testWalk,
		"a filter finds keys in rotation":      testRotatingFilter,
		"a summary counts what lists find":     testSummary,
		"a rotation replaces the secret":       testRotation,
		"one of many changes with one ETag":    testMatch,
		"a rotation that is refused":           testRotationRefused,
		"an actor's secret is rotated out":     testRotatedActor,
		"a rotation leaves one audit event":    testRotationAudit,
		"one of many rotations wins":           testConcurrentRotations,
		"a current secret ends with its key":   testEndCurrentSecret,
		"an old secret ends alone":             testEndGraceSecret,
		"what is no secret ends nothing":       testEndNoSecret,
		"one of many reports ends a secret":    testConcurrentEnds,
		"a cancelled call changes nothing":     testCancelled,
		"a store that works answers a ping":    testPing,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			test(&fixture{T: t, Store: open(t, clock.Now), clock: clock})
		})
	}
}

// fixture is one test's store, with the calls that must succeed.
type fixture struct {
	*testing.T
	store.Store
	clock *Clock
}

func (f *fixture) ctx() context.Context { return f.Context() }

var operator = store.Operator("storetest")

// draft makes a key that no store has yet.
func (f *fixture) draft(owner, name string, scopes ...string) apikey.Key {
	f.Helper()
	key, _, err := apikey.Policy{}.NewKey(f.clock.Now(), apikey.Settings{
		Owner: owner, Name: name, Scopes: append(apikey.Scopes{}, scopes...),
		ExpiresAt: f.clock.Now().Add(time.Hour),
	})
	f.must(err)
	return key
}

// create stores a new key.
func (f *fixture) create(owner, name string, scopes ...string) apikey.Key {
	f.Helper()
	key := f.draft(owner, name, scopes...)
	f.must(f.CreateKey(f.ctx(), operator, key))
	return key
}

func (f *fixture) get(ref store.Ref) apikey.Key {
	f.Helper()
	key, err := f.Key(f.ctx(), ref)
	f.must(err)
	return key
}

func (f *fixture) revoke(ref store.Ref) apikey.Key {
	f.Helper()
	key, err := f.RevokeKey(f.ctx(), operator, ref, apikey.ReasonUnspecified)
	f.must(err)
	return key
}

func (f *fixture) rename(actor store.Actor, ref store.Ref, name string) (apikey.Key, error) {
	return f.UpdateKey(f.ctx(), actor, ref, apikey.Change{Name: &name})
}

func (f *fixture) events() []store.Event {
	f.Helper()
	events, err := f.AuditEvents(f.ctx(), store.EventQuery{Limit: 1000})
	f.must(err)
	return events
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) wantErr(got, want error) {
	f.Helper()
	if !errors.Is(got, want) {
		f.Errorf("error is %v, want %v", got, want)
	}
}

func (f *fixture) wantDenied(got error) {
	f.Helper()
	if _, ok := errors.AsType[*apikey.DeniedError](got); !ok {
		f.Errorf("error is %v, want a *apikey.DeniedError", got)
	}
}

func (f *fixture) wantKey(got, want apikey.Key) {
	f.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("the key differs (-want +got):\n%s", diff)
	}
}

// actorOf acts as a key, as the server does after authentication.
func actorOf(key apikey.Key) store.Actor {
	return store.Actor{Key: key.ID, Secret: key.SecretHash, Via: "http", Address: "192.0.2.1", RequestID: "R1"}
}

// atOnce runs n calls together and returns how many succeeded. Every failure must
// be the one expected.
func (f *fixture) atOnce(n int, failure error, call func(i int) error) int {
	f.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
		} else {
			f.wantErr(err, failure)
		}
	}
	return succeeded
}

func numbered(i int) string { return fmt.Sprintf("key-%03d", i) }
