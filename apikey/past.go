package apikey

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Past is a key as it was, found by undoing its changes, the latest first.
type Past struct {
	key    Key
	values map[string]jsontext.Value // of the recorded fields; absent ones are missing

	rotated time.Time // the last rotation that was not undone; only known if one was
}

// graceField is undone by no change: it ends by time alone.
const graceField = "grace_ends_at"

// NewPast returns the state of a key before any change is undone. Nothing is known of a grace.
func NewPast(key Key, now time.Time) *Past {
	p := &Past{key: key, values: make(map[string]jsontext.Value)}
	for _, f := range fields {
		if value := f.json(nil, &key, now); f.recorded && f.name != graceField && len(value) > 0 {
			p.values[f.name] = value
		}
	}
	return p
}

// Undo undoes a change. It reports whether the change leads to the state before the call.
func (p *Past) Undo(change Differences) (consistent bool) {
	consistent = p.Follows(change)
	for _, d := range change {
		if isNoState(d.Field) || d.From == nil && d.To == nil { // the latter was not recorded
			continue
		}
		if delete(p.values, d.Field); d.From != nil {
			p.values[d.Field] = d.From
		}
	}
	return consistent
}

// NoticeField is the name under which the audit log records what a notice says. It is no field of a key.
const NoticeField = "notice"

// isNoState reports whether a field of a change is none that undoing it restores.
func isNoState(field string) bool {
	return field == graceField || field == ImportedField || field == NoticeField
}

// Follows reports whether a change leads to this state.
func (p *Past) Follows(change Differences) bool {
	for _, d := range change {
		if !isNoState(d.Field) && (d.From == nil && d.To == nil || !bytes.Equal(p.values[d.Field], d.To)) {
			return false
		}
	}
	return true
}

// SetGrace sets the end of a grace, as the last change of it says.
func (p *Past) SetGrace(change Difference) { p.values[graceField] = change.To }

// SetRotation sets when the key was rotated last, as the last event of one says. Only the first call counts.
func (p *Past) SetRotation(at time.Time) {
	if p.rotated.IsZero() {
		p.rotated = at
	}
}

// AppendJSON appends the key's JSON of the contract, as it was at this time. Last uses are not recorded, so they are
// absent. An error says that a recorded value is malformed.
func (p *Past) AppendJSON(b []byte, at time.Time) ([]byte, error) {
	then := Key{ID: p.key.ID, Prefix: p.key.Prefix, CreatedAt: p.key.CreatedAt, Settings: Settings{Owner: p.key.Owner}}
	var revoked, expires, grace Timestamp
	enabled := true
	for name, to := range map[string]any{
		"revoked_at": &revoked, "expires_at": &expires, graceField: &grace, "enabled": &enabled,
	} {
		value := p.values[name]
		if value == nil {
			continue
		}
		if err := json.Unmarshal(value, to); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if then.RotatedAt = p.key.RotatedAt; then.RotatedAt.After(at) {
		then.RotatedAt = p.rotated
	}
	then.RevokedAt, then.ExpiresAt, then.Suspended = revoked.Time(), expires.Time(), !enabled
	b = append(b, '{')
	for _, f := range fields {
		value := p.values[f.name]
		if !f.recorded {
			value = f.json(nil, &then, at)
		}
		switch {
		case len(value) == 0:
		case f.name == graceField && !grace.Time().After(at): // it is over
		case f.name == "revocation_reason" && !then.IsRevoked(): // older versions recorded none
		default:
			b = append(appendMember(b, f.name), value...)
		}
	}
	return append(b, '}'), nil
}
