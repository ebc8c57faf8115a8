package handlers

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// A cursor is the id of the last key that was shown and a digest of the filters it was shown
// with. It needs no signature: whoever makes one up asks for keys below an id, among those
// that the filters and the caller's own rights let pass anyway. The digest only tells people
// who change a filter in the middle of a list.
//
// Cursors never expire. So what they consist of must never change, nor what is digested for a
// filter that exists; TestCursorsNeverExpire holds some.
const (
	digestSize = 8
	cursorSize = len(apikey.ID{}) + digestSize
)

var cursorEncoding = base64.RawURLEncoding.Strict()

// newCursor leads to the keys after one, listed of an owner (empty is everybody) with params.
func newCursor(last apikey.ID, owner string, params *gen.ListApiKeysParams) string {
	var cursor [cursorSize]byte
	copy(cursor[:], last[:])
	digest := filterDigest(owner, params)
	copy(cursor[len(last):], digest[:])
	return cursorEncoding.EncodeToString(cursor[:])
}

// readCursor returns the key after which a list goes on.
func readCursor(owner string, params *gen.ListApiKeysParams) (apikey.ID, error) {
	if params.Page != nil {
		return apikey.ID{}, apikey.Invalid("page", "must be left out beside cursor, which says where the list goes on")
	}
	var id apikey.ID
	cursor := *params.Cursor
	// The decoder passes over line breaks.
	raw, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(raw) != cursorSize || len(cursor) != cursorEncoding.EncodedLen(cursorSize) ||
		apikey.ID(raw[:len(id)]).IsZero() {
		return id, apikey.Invalid("cursor", "must be the next_cursor of an earlier answer, as it was")
	}
	copy(id[:], raw)
	if [digestSize]byte(raw[len(id):]) != filterDigest(owner, params) {
		return id, apikey.Invalid("cursor", "was made with other filters; repeat those of the list that it comes from, "+
			"owner included, or begin again without a cursor")
	}
	return id, nil
}

// filterDigest stands for whose keys are listed and for every filter, but not for how many
// keys are on a page. A filter that is absent adds nothing.
func filterDigest(owner string, p *gen.ListApiKeysParams) [digestSize]byte {
	var room [256]byte
	text := room[:0]
	add := func(name, value string) {
		text = append(append(append(append(text, name...), '='), url.QueryEscape(value)...), '&')
	}
	addText := func(name string, value *string) {
		if value != nil {
			add(name, *value)
		}
	}
	addTime := func(name string, at *apikey.Timestamp) {
		if at != nil {
			add(name, at.String())
		}
	}
	if owner != "" {
		add("owner", owner)
	}
	addText("status", (*string)(p.Status))
	addText("name_contains", p.NameContains)
	addText("search", p.Search)
	addTime("expires_before", p.ExpiresBefore)
	addTime("last_used_before", p.LastUsedBefore)
	if p.Rotating != nil {
		add("rotating", strconv.FormatBool(*p.Rotating))
	}
	sum := sha256.Sum256(text)
	return [digestSize]byte(sum[:])
}
