package logging

import (
	"sync"
	"time"
)

// Limiter lets a number of events of each kind pass in a second. The others it counts, and
// reports their number when the second is over. It is safe for concurrent use.
type Limiter struct {
	most   int
	report func(kind string, held int)

	mu    sync.Mutex
	kinds map[string]*second // never forgotten: there must be few kinds
}

// second is what came of one kind since its second began.
type second struct {
	began        time.Time
	passed, held int
}

// NewLimiter returns a Limiter that lets so many events of a kind pass in a second. It
// calls report from goroutines of its own.
func NewLimiter(most int, report func(kind string, held int)) *Limiter {
	return &Limiter{most: most, report: report, kinds: make(map[string]*second)}
}

// Pass reports whether one more event passes.
func (l *Limiter) Pass(kind string) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.kinds[kind]
	if s == nil {
		s = &second{}
		l.kinds[kind] = s
	}
	if s.held == 0 && now.Sub(s.began) >= time.Second { // else its end reports first
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

// end ends the second of a kind.
func (l *Limiter) end(kind string) {
	l.mu.Lock()
	held := l.kinds[kind].held
	*l.kinds[kind] = second{began: time.Now()}
	l.mu.Unlock()
	l.report(kind, held)
}
