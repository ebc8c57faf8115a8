package usage

import "slices"

// series holds the counts of intervals that have any, oldest first.
type series []bucket

type bucket struct {
	number         int64 // of the interval
	valid, refused uint32
}

// add adds counts to an interval, and drops intervals that are too old.
func (s *series) add(number int64, r resolution, valid, refused uint32) {
	past := *s
	for n := len(past) - 1; n >= 0 && past[n].number >= number; n-- {
		// This interval, or a later one if the clock was set back.
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

// last returns the number of the last interval with a count.
func (s series) last() int64 { return s[len(s)-1].number }

// table holds a series for each of at most max keys or owners.
type table[K comparable] struct {
	max  int
	rows map[K]*series
}

// row returns a series to add to, and makes it if there is none.
func (t *table[K]) row(k K) *series {
	s := t.rows[k]
	if s == nil {
		if len(t.rows) >= t.max {
			t.evict()
		}
		s = new(series)
		t.rows[k] = s
	}
	return s
}

// evict removes one series: of a few random ones, that whose last count is oldest.
func (t *table[K]) evict() {
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
