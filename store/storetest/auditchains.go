package storetest

import (
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// wantChains fails the test unless all chains are sound and have so many events. It returns the first.
func (f *fixture) wantChains(events int, expected ...store.Mark) store.ChainReport {
	f.Helper()
	reports, err := f.VerifyAudit(f.ctx(), expected...)
	f.must(err)
	if len(reports) == 0 {
		f.Fatal("there is no chain")
	}
	for _, report := range reports {
		events -= int(report.Events)
		for _, fault := range report.Faults {
			f.Errorf("chain %s: %s", report.Head.Chain, fault)
		}
	}
	if events != 0 {
		f.Errorf("%d events are missing from the chains", events)
	}
	return reports[0]
}

// testChain has many writers, most of which are refused.
func testChain(f *fixture) {
	if got := f.wantChains(0); got.Head.Seq != 0 {
		f.Errorf("an empty log ends at %+v", got.Head)
	}
	f.atOnce(64, store.ErrNameTaken, func(i int) error {
		return f.CreateKey(f.ctx(), operator, f.draft("acme", numbered(i%8)))
	})
	f.atOnce(64, store.ErrRevoked, func(i int) error {
		ref := store.ByName("acme", numbered(i%8))
		if i%2 == 0 {
			return second(f.RevokeKey(f.ctx(), operator, ref, apikey.ReasonUnspecified))
		}
		return second(f.rename(operator, ref, numbered(i%8)))
	})
	events := f.events()
	if report := f.wantChains(len(events)); len(events) != 8+4 || report.Head.Seq != events[0].Seq || report.Head != events[0].Mark {
		f.Errorf("%d events; the head is %+v, and the newest event %+v", len(events), report.Head, events[0].Mark)
	}
}

func testExpectedMarks(f *fixture) {
	f.create("acme", "first")
	before := f.wantChains(1).Head
	f.create("acme", "second")
	now := f.wantChains(2, before).Head
	f.wantChains(2, before, now)
	later := now
	later.Seq++
	wrong := before
	wrong.Hash[31] ^= 1
	other := store.Mark{Chain: "another", Seq: 1}
	for name, mark := range map[string]store.Mark{"later": later, "wrong": wrong, "of no chain": other} {
		reports, err := f.VerifyAudit(f.ctx(), mark)
		f.must(err)
		faults := 0
		for _, report := range reports {
			faults += len(report.Faults)
		}
		if faults != 1 {
			f.Errorf("a mark that is %s: %d faults: %+v", name, faults, reports)
		}
	}
}

func testPruneEvents(f *fixture) {
	start := f.clock.Now()
	const events = 300 // more than are removed at once
	for i := range events {
		f.create("acme", numbered(i))
		f.clock.Advance(time.Second)
	}
	head := f.wantChains(events).Head
	prune := func(before time.Time, want int) {
		f.Helper()
		if n, err := f.PruneEvents(f.ctx(), before); err != nil || n != want {
			f.Errorf("%d events were pruned (%v), want %d", n, err, want)
		}
	}
	prune(start, 0)
	prune(start.Add(time.Millisecond), 1)
	prune(start.Add(200*time.Second), 199)
	prune(start.Add(200*time.Second), 0)
	anchor := f.wantChains(100, head)
	if anchor.Anchor.Seq != 200 || !anchor.AnchoredAt.Equal(f.clock.Now()) || anchor.Head != head {
		f.Errorf("the report is %+v", anchor)
	}
	if oldest := f.events()[99]; oldest.Name != numbered(200) {
		f.Errorf("the oldest event is about %s", oldest.Name)
	}
	f.wantChains(100, anchor.Anchor) // the last removed event can still be named
	gone := anchor.Anchor
	gone.Seq--
	if reports, err := f.VerifyAudit(f.ctx(), gone); err != nil || len(reports[0].Faults) != 1 {
		f.Errorf("a mark that was pruned: %+v (%v)", reports, err)
	}
	// After removing all of them, the chain continues.
	prune(f.clock.Now(), 100)
	f.wantChains(0, head)
	f.create("acme", "afterwards")
	if got := f.wantChains(1, head).Head.Seq; got != events+1 {
		f.Errorf("the chain went on with %d", got)
	}
}

func testPruneOneDay(f *fixture) {
	for i := range 4 {
		f.create("acme", numbered(i))
		f.clock.Advance(12 * time.Hour)
	}
	f.clock.Advance(100 * 365 * 24 * time.Hour)
	for _, want := range []int{2, 2, 0} {
		if n, err := f.PruneEvents(f.ctx(), f.clock.Now().Add(-time.Hour)); err != nil || n != want {
			f.Errorf("%d events were pruned (%v), want %d", n, err, want)
		}
	}
}
