package handlers

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// A cursor is the id of the last key returned and a digest of the list's filters. It is not signed: a
// forged cursor still lists only keys that the filters and the caller's rights allow. The digest
// detects clients that change a filter between pages.
//
// Cursors never expire, so neither their layout nor the digest of an existing filter may change.
// TestCursorsNeverExpire checks some.
const (
	digestSize = 8
	cursorSize = len(apikey.ID{}) + digestSize
)

// newCursor returns the cursor for the keys after last in an owner's list, or in the list of all owners
// if owner is empty.
func newCursor(last apikey.ID, owner string, params gen.ListApiKeysParams) (string, error) {
	digest, err := filterDigest(owner, params)
	return base64.RawURLEncoding.EncodeToString(append(last[:], digest...)), err
}

// readCursor returns the id after which a list continues.
func readCursor(owner string, params gen.ListApiKeysParams) (apikey.ID, error) {
	if params.Page != nil {
		return apikey.ID{}, apikey.Invalid("page", "must be absent when cursor is given")
	}
	cursor := *params.Cursor
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) != cursorSize || apikey.ID(raw[:cursorSize-digestSize]).IsZero() {
		return apikey.ID{}, apikey.Invalid("cursor", "must be the next_cursor of an earlier answer, unchanged")
	}
	last := apikey.ID(raw[:cursorSize-digestSize])
	switch want, err := newCursor(last, owner, params); {
	case err != nil:
		return apikey.ID{}, err
	case cursor != want:
		return apikey.ID{}, apikey.Invalid("cursor", "belongs to a list with other filters; "+
			"repeat that list's filters, owner included, or start again without a cursor")
	}
	return last, nil
}

// filterDigest covers the owner and every filter, but not the page size. Absent filters add nothing,
// so adding a filter to the contract keeps existing cursors valid.
func filterDigest(owner string, filters gen.ListApiKeysParams) ([]byte, error) {
	filters.Owner = nil
	if owner != "" {
		filters.Owner = &owner
	}
	if filters.Metadata != nil { // in any order, and given twice, it is the same filter
		entries := slices.Compact(slices.Sorted(slices.Values(*filters.Metadata)))
		filters.Metadata = &entries
	}
	filters.Cursor, filters.Page, filters.ItemsPerPage = nil, nil, nil
	text, err := json.Marshal(filters)
	digest := sha256.Sum256(text)
	return digest[:digestSize], err
}
