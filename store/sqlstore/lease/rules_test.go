package lease

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
)

// If the database lacks an applied event, the whole cache is dropped.
func TestAppliedReach(t *testing.T) {
	t.Parallel()
	e1, e2 := apikey.NewID(), apikey.NewID()
	for name, test := range map[string]struct {
		before, heads map[string]head
		forgets       bool
	}{
		"nothing at all":     {nil, nil, false},
		"nothing new":        {map[string]head{"a": {3, e1}}, map[string]head{"a": {3, e1}}, false},
		"a change":           {map[string]head{"a": {3, e1}}, map[string]head{"a": {4, e2}}, true},
		"a chain":            {map[string]head{"a": {3, e1}}, map[string]head{"a": {3, e1}, "b": {1, e2}}, true},
		"an empty chain":     {map[string]head{"a": {3, e1}}, map[string]head{"a": {3, e1}, "b": {}}, false},
		"a change less":      {map[string]head{"a": {3, e1}}, map[string]head{"a": {2, e2}}, true},
		"a change replaced":  {map[string]head{"a": {3, e1}}, map[string]head{"a": {3, e2}}, true},
		"a chain that is no": {map[string]head{"a": {3, e1}}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{keys: make(map[apikey.ID]bool)}
			a := applied{heads: test.before, watcher: m}
			moved := a.reach(a.known(), test.heads)
			if got := m.forgotten() > 0; got != test.forgets || got != (len(moved) > 0) {
				t.Errorf("forgot: %v; moved: %v", got, moved)
			}
			if a.reach(a.known(), test.heads) != nil {
				t.Error("the second time there is something new too")
			}
		})
	}
}

// A change that this process made meanwhile is ahead of heads that were read before.
func TestAppliedAhead(t *testing.T) {
	t.Parallel()
	var a applied
	a.made(Change{Chain: "a", From: 1, To: 3})
	before := a.known()
	a.made(Change{Chain: "a", From: 4, To: 5})
	if moved := a.reach(before, map[string]head{"a": {seq: 3}}); moved != nil {
		t.Errorf("moved: %v", moved)
	}
	if got := a.known()["a"].seq; got != 5 {
		t.Errorf("applied %d", got)
	}
}

func TestAppliedHear(t *testing.T) {
	t.Parallel()
	id := apikey.NewID()
	part := func(from, to int64) Change { return Change{Chain: "a", From: from, To: to, Keys: []apikey.ID{id}} }
	for name, test := range map[string]struct {
		heard   []Change
		more    bool
		forgets bool
		keeps   bool
		applied int64
	}{
		"the next":      {heard: []Change{part(6, 7)}, applied: 7},
		"one again":     {heard: []Change{part(4, 5)}, keeps: true, applied: 5},
		"after a gap":   {heard: []Change{part(7, 8)}, forgets: true, applied: 8},
		"a part":        {heard: []Change{part(6, 8)}, more: true, applied: 5},
		"partly known":  {heard: []Change{part(4, 6)}, applied: 6},
		"one, then two": {heard: []Change{part(6, 6), part(7, 8)}, applied: 8},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{keys: map[apikey.ID]bool{id: true}}
			a := applied{heads: map[string]head{"a": {seq: 5}}, watcher: m}
			for _, c := range test.heard {
				a.hear(c, test.more)
			}
			if got := m.forgotten() > 0; got != test.forgets {
				t.Errorf("forgot everything: %v", got)
			}
			if _, got := m.uses(id); got != test.keeps {
				t.Errorf("remembers the key: %v", got)
			}
			if got := a.known()["a"].seq; got != test.applied {
				t.Errorf("applied %d, not %d", got, test.applied)
			}
		})
	}
}

// A silence begins when it is first seen, and ends with any other number of renewals.
func TestPeers(t *testing.T) {
	t.Parallel()
	var p peers
	start := time.Now()
	for i, step := range []struct{ renewals, after, since int }{
		{7, 0, 0}, {7, 1, 0}, {8, 2, 2}, {8, 3, 2}, {7, 4, 4}, {8, 5, 5}, {0, 6, 0}, {8, 7, 7},
	} {
		at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
		live := make(map[string]peer)
		if step.renewals > 0 {
			live["a"] = peer{renewals: int64(step.renewals), lease: time.Second}
		}
		got := p.see(live, at(step.after))
		if step.renewals > 0 && !got["a"].since.Equal(at(step.since)) {
			t.Errorf("step %d: silent since %v, not %v", i, got["a"].since.Sub(start), step.since)
		}
	}
}

// No payload is larger than PostgreSQL accepts, and together they name all keys.
func TestNotifications(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, maxNotified, maxNotified + 1, 3*maxNotified + 7} {
		c := Change{Chain: strings.Repeat("\x01", 255), From: 1 << 62, To: 1<<62 + int64(n), Event: apikey.NewID(), Keys: newIDs(n)}
		var keys []apikey.ID
		payloads := c.notifications(apikey.NewID().String())
		for i, payload := range payloads {
			if len(payload) >= 8000 {
				t.Errorf("%d keys: a payload of %d bytes", n, len(payload))
			}
			got, ok := decode[notification](payload)
			if !ok || got.More != (i < len(payloads)-1) {
				t.Errorf("%d keys: part %d of %d: %v", n, i, len(payloads), got)
			}
			back := got.change()
			keys = append(keys, back.Keys...)
			if back.Chain != c.Chain || back.From != c.From || back.To != c.To || back.Event != c.Event || back.All {
				t.Errorf("%d keys: %v", n, back)
			}
		}
		if fmt.Sprint(keys) != fmt.Sprint(c.Keys) {
			t.Errorf("%d keys came as %d", n, len(keys))
		}
	}
}
