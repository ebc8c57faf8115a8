package logging

import (
	"sync"
	"time"
)

// Limiter lets so many events of each kind pass per second. It counts the rest, and reports their number
// at the end of the second. It is safe for concurrent use.
type Limiter struct {
	most   int
	report func(kind string, held int)

	mu    sync.Mutex
	kinds map[string]*second // never dropped, so there must be few kinds
}

// second counts the events of one kind in the current second.
type second struct {
	began        time.Time
	passed, held int
}

// NewLimiter returns a Limiter that lets most events of a kind pass per second. It calls report from
// its own goroutines.
func NewLimiter(most int, report func(kind string, held int)) *Limiter {
	return &Limiter{most: most, report: report, kinds: make(map[string]*second)}
}

// Pass reports whether an event of this kind passes.
func (l *Limiter) Pass(kind string) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.kinds[kind]
	if s == nil {
		s = &second{}
		l.kinds[kind] = s
	}
	if s.held == 0 && now.Sub(s.began) >= time.Second { // otherwise the report comes first
		*s = second{began: now}
	}
	if s.passed < l.most {
		s.passed++
		return true
	}
	if s.held++; s.held == 1 {
		time.AfterFunc(s.began.Add(time.Second).Sub(now), func() { l.end(kind) })
	}
	return false
}

// end starts a new second for a kind, and reports the events held back.
func (l *Limiter) end(kind string) {
	l.mu.Lock()
	held := l.kinds[kind].held
	*l.kinds[kind] = second{began: time.Now()}
	l.mu.Unlock()
	l.report(kind, held)
}
