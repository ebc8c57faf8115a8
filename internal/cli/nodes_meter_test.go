//go:build full

package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// meter counts what clients see during a fault.
type meter struct {
	mu sync.Mutex
	*faultRow
}

// faultRow is a fault and its effect on clients.
type faultRow struct {
	fault    string
	began    time.Time
	lasted   time.Duration
	requests int
	errors   map[string]int // by status, or why there was no answer

	writes, verifications pulse

	proven  int           // changes that were looked at on every node after their answer
	waived  int           // looks that a node answered with 503, or not at all
	stale   int           // looks that found what was before
	slowest time.Duration // of the answers to the changes proven
	oldest  time.Duration // how long after the answer something stale was seen last
}

// pulse is the longest time without a success.
type pulse struct {
	last time.Time
	gap  time.Duration
}

func (p *pulse) beat() {
	now := time.Now()
	p.gap = max(p.gap, now.Sub(p.last))
	p.last = now
}

// begin starts the row of a fault and returns the previous one.
func (m *meter) begin(fault string) (before *faultRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before = m.faultRow; before != nil {
		before.lasted = time.Since(before.began)
		before.writes.beat()
		before.verifications.beat()
	}
	now := pulse{last: time.Now()}
	m.faultRow = &faultRow{fault: fault, began: now.last, errors: map[string]int{}, writes: now, verifications: now}
	return before
}

// note records the result of a request.
func (m *meter) note(write bool, status int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests++
	switch {
	case status/100 != 2:
		why := fmt.Sprint(status)
		if status == 0 {
			why = "no answer"
		}
		m.errors[why]++
	case err != nil:
		m.errors["cut answer"]++
	case write:
		m.writes.beat()
	default:
		m.verifications.beat()
	}
}

func (m *meter) add(change func(*faultRow)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m.faultRow)
}

const tableHead = `| fault | lasted | requests | errors that clients saw | changes proven on every node | nodes that could not say | slowest answer to a change | stale acceptances | longest stale | longest without a write | longest without a verification |
|---|---|---|---|---|---|---|---|---|---|---|
`

func (r *faultRow) String() string {
	var errors []string
	for _, why := range slices.Sorted(maps.Keys(r.errors)) {
		errors = append(errors, fmt.Sprintf("%s: %d", why, r.errors[why]))
	}
	return fmt.Sprintf("| %s | %.1f s | %d | %s | %d | %d | %s | %d | %s | %s | %s |\n", r.fault, r.lasted.Seconds(), r.requests,
		strings.Join(errors, ", "), r.proven, r.waived, milliseconds(r.slowest), r.stale, milliseconds(r.oldest),
		milliseconds(r.writes.gap), milliseconds(r.verifications.gap))
}

func milliseconds(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
