package usage

// table holds a series of counts for each of at most max keys or owners. The buckets of all series lie in one slice,
// without pointers, so that a garbage collection need not visit each key.
type table[K comparable] struct {
	max     int
	rows    map[K]int32 // the series' newest bucket
	buckets []bucket    // the first is none
	free    int32       // buckets in no series
}

// bucket holds the counts of one minute.
type bucket struct {
	number int64 // of the minute
	counts Counts
	older  int32 // the series' next bucket; 0 for none
}

func newTable[K comparable](limit int) table[K] {
	return table[K]{max: limit, rows: make(map[K]int32), buckets: make([]bucket, 1)}
}

// add adds counts to a minute of a series, and drops minutes that are too old.
func (t *table[K]) add(k K, number int64, counts Counts) {
	newest, known := t.rows[k]
	if !known && len(t.rows) >= t.max {
		t.evict()
	}
	for newest != 0 && t.buckets[newest].number >= number {
		// This minute, or a later one if the clock was set back.
		b := t.buckets[newest]
		for i, n := range b.counts {
			counts[i] += n
		}
		t.release(newest)
		newest = b.older
	}
	i := t.take()
	t.buckets[i] = bucket{number, counts, newest}
	t.rows[k] = i
	for b := &t.buckets[i]; b.older != 0; b = &t.buckets[b.older] {
		if t.buckets[b.older].number <= number-span {
			t.releaseAll(b.older)
			b.older = 0
			return
		}
	}
}

// evict removes one series: of a few random ones, that whose last count is oldest.
func (t *table[K]) evict() {
	const looks = 8
	var victim K
	looked, oldest := 0, int64(0)
	for k, newest := range t.rows {
		if last := t.buckets[newest].number; looked == 0 || last < oldest {
			victim, oldest = k, last
		}
		if looked++; looked == looks {
			break
		}
	}
	t.releaseAll(t.rows[victim])
	delete(t.rows, victim)
}

// take returns a bucket that is in no series.
func (t *table[K]) take() int32 {
	if t.free == 0 {
		t.buckets = append(t.buckets, bucket{})
		return int32(len(t.buckets) - 1) //nolint:gosec // at most max times span
	}
	i := t.free
	t.free = t.buckets[i].older
	return i
}

func (t *table[K]) release(i int32) {
	t.buckets[i].older = t.free
	t.free = i
}

// releaseAll releases a bucket and all older ones.
func (t *table[K]) releaseAll(i int32) {
	for i != 0 {
		older := t.buckets[i].older
		t.release(i)
		i = older
	}
}
