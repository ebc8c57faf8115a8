// Package auditline is an audit event as a line of JSON: in an export, and in what webhooks get.
package auditline

import (
	"encoding/hex"
	"errors"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Line is the contract's AuditEvent and the event's position in its chain.
type Line struct {
	ID        string             `json:"id"`
	At        apikey.Timestamp   `json:"at"`
	Action    string             `json:"action"`
	KeyID     string             `json:"key_id"`
	Owner     string             `json:"owner"`
	Name      string             `json:"name"`
	Changes   apikey.Differences `json:"changes"`
	Actor     string             `json:"actor"`
	Via       string             `json:"via"`
	Address   string             `json:"address,omitempty"`
	RequestID string             `json:"request_id,omitempty"`
	Chain     string             `json:"chain"`
	Sequence  int64              `json:"sequence"`
	Hash      string             `json:"hash"`
}

const operator = "operator"

// Of returns an event's line.
func Of(e store.Event) Line {
	actor := operator
	if !e.Actor.IsZero() {
		actor = e.Actor.String()
	}
	return Line{
		ID: e.ID.String(), At: apikey.Timestamp(e.At), Action: e.Action, KeyID: e.Key.String(), Owner: e.Owner,
		Name: e.Name, Changes: e.Changes, Actor: actor, Via: e.Via, Address: e.Address, RequestID: e.RequestID,
		Chain: e.Chain, Sequence: e.Seq, Hash: e.Hash.String(),
	}
}

// Event returns the event of a line.
func (l Line) Event() (store.Event, error) {
	event := store.Event{
		At: l.At.Time(), Action: l.Action, Owner: l.Owner, Name: l.Name, Changes: l.Changes, Via: l.Via,
		Address: l.Address, RequestID: l.RequestID, Mark: store.Mark{Chain: l.Chain, Seq: l.Sequence},
	}
	var errs [4]error
	event.ID, errs[0] = apikey.ParseID(l.ID)
	event.Key, errs[1] = apikey.ParseID(l.KeyID)
	if l.Actor != operator {
		event.Actor, errs[2] = apikey.ParseID(l.Actor)
	}
	event.Hash, errs[3] = ParseHash(l.Hash)
	return event, errors.Join(errs[:]...)
}

// ParseHash reads a hash in hexadecimal.
func ParseHash(text string) (hash store.ChainHash, err error) {
	decoded, err := hex.DecodeString(text)
	if err != nil || copy(hash[:], decoded) != len(decoded) || len(decoded) != len(hash) {
		return hash, errors.New("a hash has 64 hexadecimal digits")
	}
	return hash, nil
}
