package usage

import "slices"

// series are the counts of the intervals that have any, oldest first.
type series []bucket

type bucket struct {
	number         int64 // of the interval
	valid, refused uint32
}

// add counts in an interval, and forgets those that it leaves behind.
func (s *series) add(number int64, r resolution, valid, refused uint32) {
	past := *s
	for n := len(past) - 1; n >= 0 && past[n].number >= number; n-- {
		// This interval, or one that is to come: the clock was set back.
		valid += past[n].valid
		refused += past[n].refused
		past = past[:n]
	}
	left := 0
	for left < len(past) && past[left].number <= number-r.span {
		left++
	}
	*s = append(slices.Delete(past, 0, left), bucket{number, valid, refused})
}

// last is when something was last counted.
func (s series) last() int64 { return s[len(s)-1].number }

// table has a series for each of so many keys or owners at most.
type table[K comparable] struct {
	max  int
	rows map[K]*series
}

// row returns a series to add to.
func (t *table[K]) row(k K) *series {
	s := t.rows[k]
	if s == nil {
		if len(t.rows) >= t.max {
			t.forgetOne()
		}
		s = new(series)
		t.rows[k] = s
	}
	return s
}

// forgetOne looks at a few, in no order, and forgets that whose last count is longest ago.
func (t *table[K]) forgetOne() {
	const looks = 8
	var victim K
	looked, oldest := 0, int64(0)
	for k, s := range t.rows {
		if looked == 0 || s.last() < oldest {
			victim, oldest = k, s.last()
		}
		if looked++; looked == looks {
			break
		}
	}
	delete(t.rows, victim)
}
