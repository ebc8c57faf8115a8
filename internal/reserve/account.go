package reserve

import "time"

// account is a node's state of one subject. Times are in microseconds.
type account[L, S any] struct {
	limit   L
	state   S        // as of the last grant
	granted int64    // time of that grant
	leases  [2]lease // granted units, older ones first

	asked    chan struct{} // closed when the answer arrives; nil if no request is in flight
	askedAt  int64         // time of the last request
	terms    Terms         // as of then
	advance  int           // units to hold in advance, as of then
	used     int           // units used since
	takenAt  int64         // time of the last call that passed
	waiting  int           // units that calls wait for
	pauseEnd int64         // end of the back-off
	err      error         // of the last request
}

// lease is a number of units that may be used until a time.
type lease struct {
	units int
	until int64
}

// take takes units of the older lease first. It takes none if there are too few.
func (a *account[L, S]) take(at int64, units int) bool {
	if a.left(at) < units {
		return false
	}
	a.used, a.takenAt = a.used+units, at
	for i := range a.leases {
		if l := &a.leases[i]; at < l.until {
			taken := min(units, l.units)
			l.units -= taken
			units -= taken
		}
	}
	return true
}

// rounding is by how much two leases until the same time may differ, in microseconds.
const rounding = 1000

// giveBack returns units to the last lease that ends no later than they do.
func (a *account[L, S]) giveBack(units int, until int64) {
	for i := len(a.leases) - 1; i >= 0; i-- {
		if l := &a.leases[i]; l.until <= until+rounding {
			l.units += units
			a.used -= units
			return
		}
	}
}

// left returns how many units may be used without asking.
func (a *account[L, S]) left(at int64) (units int) {
	for _, l := range a.leases {
		if at < l.until {
			units += l.units
		}
	}
	return units
}

// runsLow reports whether to request more now, so that no call has to wait.
func (a *account[L, S]) runsLow(at int64) bool {
	return a.asked == nil && a.advance > 0 && at >= a.pauseEnd && 2*a.left(at) <= a.advance
}

// foresee estimates how many units will be used within the horizon, from those since the last request.
// The estimate at most doubles each time: a few quick calls are not a high rate yet.
func (a *account[L, S]) foresee(at int64) int {
	rate := int64(a.used) * a.terms.Horizon.Microseconds() / max(at-a.askedAt, 1)
	return int(min(int64(a.terms.Most), 2*int64(max(a.used, a.advance)), rate))
}

// hear records the Source's answer.
func (a *account[L, S]) hear(grant Grant[S], err error, at int64) {
	close(a.asked)
	a.asked, a.err = nil, err
	if err != nil {
		a.pauseEnd = at + a.terms.Pause.Microseconds()
		return
	}
	a.state, a.granted = grant.State, at
	if older := &a.leases[0]; older.units == 0 || at >= older.until {
		*older = a.leases[1]
	} else {
		older.units += a.leases[1].units // these expire a little early
	}
	// From the time of the request: the grant may be that old.
	a.leases[1] = lease{grant.Units, a.askedAt + a.terms.Valid.Microseconds()}
}

func (a *account[L, S]) answer(at int64, allowed bool) Answer[S] {
	return Answer[S]{
		Allowed: allowed, Held: a.left(at), State: a.state,
		Age: microseconds(at - a.granted), Retry: microseconds(max(a.pauseEnd-at, 0)), Until: Until(a.leases[1].until),
	}
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// isIdle reports whether dropping the account would change nothing.
func (a *account[L, S]) isIdle(at int64) bool {
	return a.asked == nil && a.waiting == 0 && at >= a.pauseEnd && at >= a.askedAt+a.terms.Horizon.Microseconds() && a.left(at) == 0
}
