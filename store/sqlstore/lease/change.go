package lease

import (
	"encoding/json"
	"slices"

	"apikeyd/apikey"
)

const (
	changesChannel = "apikeyd_changes"
	acksChannel    = "apikeyd_acks"

	// maxNotified is how many keys one notification names: PostgreSQL accepts less than 8,000 bytes, a key
	// takes 22 of them, and the name of a chain needs some.
	maxNotified = 250
)

// Change is what other nodes must know of one transaction.
type Change struct {
	Chain    string      // of events
	From, To int64       // the numbers of its events, both included
	Event    apikey.ID   // the last of them
	Keys     []apikey.ID // that differ afterwards
	All      bool        // any key may; then Keys is not needed
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

// notifications returns the payloads that announce a change.
func (c *Change) notifications(node string) []string {
	all := notification{Node: node, Chain: c.Chain, From: c.From, To: c.To, Event: c.Event[:], All: c.All}
	if c.All || len(c.Keys) == 0 {
		return []string{encode(all)}
	}
	var payloads []string
	for part := range slices.Chunk(c.Keys, maxNotified) {
		n := all
		for _, id := range part {
			n.Keys = append(n.Keys, id[:]...)
		}
		n.More = (len(payloads)+1)*maxNotified < len(c.Keys)
		payloads = append(payloads, encode(n))
	}
	return payloads
}

func (n *notification) change() Change {
	c := Change{Chain: n.Chain, From: n.From, To: n.To, All: n.All}
	copy(c.Event[:], n.Event)
	for id := range slices.Chunk(n.Keys, len(apikey.ID{})) {
		c.Keys = append(c.Keys, apikey.ID(id))
	}
	return c
}

// encode returns a payload. JSON can encode all of its types.
func encode(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// decode reads a payload.
func decode[T any](payload string) (v T, ok bool) {
	err := json.Unmarshal([]byte(payload), &v)
	return v, err == nil
}

// receive acts on the notifications in the inbox, then acknowledges what it applied.
func (s *session) receive() error {
	for _, m := range s.inbox {
		switch m.Channel {
		case changesChannel:
			s.hearChange(m.Payload)
		case acksChannel:
			if a, ok := decode[acknowledgement](m.Payload); ok {
				s.pending.acknowledged(a)
			}
		}
	}
	s.inbox = s.inbox[:0]
	return s.acknowledge()
}

// hearChange applies an announced change. If the payload cannot be read, nothing is lost: the next renewal
// finds the change.
func (s *session) hearChange(payload string) {
	n, ok := decode[notification](payload)
	if !ok || len(n.Keys)%len(apikey.ID{}) != 0 {
		s.options.Log.Warn("a notification of a change cannot be read; is another program or version using this database?")
		return
	}
	s.hear(n.change(), n.More)
	if !n.More && n.Node != s.id {
		s.owed[n.Chain] = n.To
	}
}

// acknowledge tells the nodes that made changes that they are applied here.
func (s *session) acknowledge() error {
	if len(s.owed) == 0 {
		return nil
	}
	var payloads []string
	for chain, seq := range s.owed {
		payloads = append(payloads, encode(acknowledgement{s.id, chain, seq}))
	}
	err := s.exec(notify, acksChannel, payloads)
	if err == nil {
		clear(s.owed)
	}
	return err
}
