package sqlstore

import (
	"encoding/json"
	"slices"

	"apikeyd/apikey"
)

const (
	changesChannel = "apikeyd_changes"
	acksChannel    = "apikeyd_acks"

	// maxNotified is how many keys one notification names: PostgreSQL takes less than 8,000
	// bytes, a key is 22 of them, and the name of a chain may need some.
	maxNotified = 250
)

// change is what one transaction did, as other nodes have to know it.
type change struct {
	chain    string
	from, to int64       // its events, both included
	event    apikey.ID   // the last of them
	keys     []apikey.ID // that differ afterwards
	all      bool        // any key may; then keys is not needed
}

// notification is a change, or a part of it, on its way to other nodes.
type notification struct {
	Node  string `json:"node"` // that made it
	Chain string `json:"chain"`
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Event []byte `json:"event"`
	Keys  []byte `json:"keys,omitempty"` // their ids, one after another
	All   bool   `json:"all,omitempty"`
	More  bool   `json:"more,omitempty"` // another part follows
}

// acknowledgement says that a node applied a chain's changes.
type acknowledgement struct {
	Node  string `json:"node"`
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
}

// notifications returns the payloads that tell of a change.
func (c *change) notifications(node string) []string {
	all := notification{Node: node, Chain: c.chain, From: c.from, To: c.to, Event: c.event[:], All: c.all}
	if c.all || len(c.keys) == 0 {
		return []string{encode(all)}
	}
	var payloads []string
	for part := range slices.Chunk(c.keys, maxNotified) {
		n := all
		for _, id := range part {
			n.Keys = append(n.Keys, id[:]...)
		}
		n.More = (len(payloads)+1)*maxNotified < len(c.keys)
		payloads = append(payloads, encode(n))
	}
	return payloads
}

func (n *notification) change() change {
	c := change{chain: n.Chain, from: n.From, to: n.To, all: n.All}
	copy(c.event[:], n.Event)
	for id := range slices.Chunk(n.Keys, len(apikey.ID{})) {
		c.keys = append(c.keys, apikey.ID(id))
	}
	return c
}

// encode returns a payload. Its types have nothing that JSON cannot say.
func encode(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// decode reads a payload.
func decode[T any](payload string) (v T, ok bool) {
	err := json.Unmarshal([]byte(payload), &v)
	return v, err == nil
}

// hear acts on what was notified, then acknowledges: never before it is applied.
func (s *session) hear() error {
	for _, m := range s.inbox {
		switch m.Channel {
		case changesChannel:
			s.hearChange(m.Payload)
		case acksChannel:
			if a, ok := decode[acknowledgement](m.Payload); ok {
				s.waits.acknowledged(a)
			}
		}
	}
	s.inbox = s.inbox[:0]
	return s.acknowledge()
}

// hearChange applies what a notification says. Of one that cannot be read nothing is lost:
// the next renewal finds the change.
func (s *session) hearChange(payload string) {
	n, ok := decode[notification](payload)
	if !ok || len(n.Keys)%len(apikey.ID{}) != 0 {
		s.log.Warn("a notification of a change cannot be read; is another program or version using this database?")
		return
	}
	s.applied.hear(n.change(), n.More)
	if !n.More && n.Node != s.id {
		s.owed[n.Chain] = n.To
	}
}

// acknowledge tells the nodes that made changes that they are applied here. That need not
// be durable: it is of use now or never.
func (s *session) acknowledge() error {
	if len(s.owed) == 0 {
		return nil
	}
	var payloads []string
	for chain, seq := range s.owed {
		payloads = append(payloads, encode(acknowledgement{s.id, chain, seq}))
	}
	err := s.exec(`SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, payload)
		FROM unnest($2::text[]) AS payload`, acksChannel, payloads)
	if err == nil {
		clear(s.owed)
	}
	return err
}
