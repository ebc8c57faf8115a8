package contracttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Coverage records which answers were seen. It is safe for concurrent use; a nil Coverage records
// nothing.
type Coverage struct {
	mu   sync.Mutex
	seen map[Answer]int
}

// Answer is an operation and one of its documented statuses, or "default".
type Answer struct{ Operation, Status string }

func (a Answer) String() string { return a.Operation + " " + a.Status }

func (c *Coverage) saw(operation string, status int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = make(map[Answer]int)
	}
	c.seen[Answer{operation, strconv.Itoa(status)}]++
}

// Row is how often a documented answer was seen.
type Row struct {
	Answer
	Seen int
}

// Table lists every documented answer of a contract. "default" counts the statuses
// that are not documented by number.
func (c *Coverage) Table(contract *Contract) []Row {
	c.mu.Lock()
	defer c.mu.Unlock()
	var rows []Row
	for _, o := range contract.Operations() {
		rest := 0
		for answer, n := range c.seen {
			if answer.Operation == o.ID {
				rest += n
			}
		}
		for _, status := range o.Statuses {
			n := c.seen[Answer{o.ID, status}]
			rows = append(rows, Row{Answer{o.ID, status}, n})
			rest -= n
		}
		if o.Default {
			rows = append(rows, Row{Answer{o.ID, "default"}, rest})
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.String(), b.String()) })
	return rows
}

// Gaps lists the documented answers that were never seen and are not excused, and excuses that are no
// longer needed.
func (c *Coverage) Gaps(contract *Contract, allowed map[Answer]string) []string {
	var gaps []string
	known := make(map[Answer]bool)
	for _, row := range c.Table(contract) {
		known[row.Answer] = true
		_, excused := allowed[row.Answer]
		switch {
		case row.Seen == 0 && !excused:
			gaps = append(gaps, fmt.Sprintf("%s was never seen in a checked exchange", row.Answer))
		case row.Seen > 0 && excused:
			gaps = append(gaps, fmt.Sprintf("%s is excused, but was seen", row.Answer))
		}
	}
	for answer := range allowed {
		if !known[answer] {
			gaps = append(gaps, fmt.Sprintf("%s is excused, but not in the contract", answer))
		}
	}
	return gaps
}
