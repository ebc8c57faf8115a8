package storetest

import (
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// takes takes units and requires what was granted and what is used afterwards.
func (f *fixture) takes(what string, subject store.Subject, limit int, start time.Time, units, granted, total int) store.Used {
	f.Helper()
	used, err := f.TakeUnits(f.ctx(), subject, limit, start, units)
	if err != nil || used.Granted != granted || used.Total != total {
		f.Errorf("%s: %+v, %v; want %d granted and %d used", what, used, err, granted, total)
	}
	return used
}

func (f *fixture) wantUsed(what string, subject store.Subject, start time.Time, want int) {
	f.Helper()
	if used, err := f.UsedUnits(f.ctx(), subject, start); err != nil || used != want {
		f.Errorf("%s: %d used, %v; want %d", what, used, err, want)
	}
}

func testQuotas(f *fixture) {
	day := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	next, month := day.AddDate(0, 0, 1), day.AddDate(0, 0, -28)
	key, owner := store.Subject{Key: apikey.NewID()}, store.Subject{Owner: "acme"}
	f.wantUsed("before the first call", key, day, 0)
	f.takes("the first", key, 10, day, 4, 4, 4)
	f.takes("more", key, 10, day, 4, 4, 8)
	f.takes("more than are left", key, 10, day, 4, 2, 10)
	f.takes("nothing is left", key, 10, day, 1, 0, 10)
	f.takes("a higher limit keeps what was used", key, 12, day, 5, 2, 12)
	f.takes("so does a lower one", key, 5, day, 1, 0, 12)
	f.takes("another subject", owner, 3, day, 5, 3, 3)
	f.wantUsed("of the day", key, day, 12)
	f.wantUsed("of the next", key, next, 0)
	if used := f.takes("the day's use counts in the month's", key, 20, month, 1, 1, 13); !used.Since.Equal(day) {
		f.Errorf("since %s, want %s", used.Since, day)
	}
	f.wantUsed("of the month", key, month, 13)
	f.takes("a new period", key, 10, next, 3, 3, 3)
	f.takes("a clock that is behind", key, 10, day, 2, 2, 5)
	if err := f.ReturnUnits(f.ctx(), []store.Unused{
		{Subject: key, Since: next, Units: 2}, {Subject: key, Since: day, Units: 1}, {Subject: owner, Since: day, Units: 9},
	}); err != nil {
		f.Error(err)
	}
	f.wantUsed("after units of this period were returned", key, next, 3)
	f.wantUsed("more than was used cannot be returned", owner, day, 3)
}

// Concurrent calls never get more than the limit.
func testQuotasAtOnce(f *fixture) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	subject := store.Subject{Key: apikey.NewID()}
	var granted atomic.Int64
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 10 {
				used, err := f.TakeUnits(f.ctx(), subject, 100, start, 3)
				if err != nil {
					f.Error(err)
				}
				granted.Add(int64(used.Granted))
			}
		})
	}
	callers.Wait()
	if granted.Load() != 100 {
		f.Errorf("%d units were granted, want 100", granted.Load())
	}
}
