package handlers

import (
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// TestCursorsNeverExpire checks cursors that were issued long ago: clients may still hold them.
func TestCursorsNeverExpire(t *testing.T) {
	t.Parallel()
	id, err := apikey.ParseID("0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f")
	if err != nil {
		t.Fatal(err)
	}
	at := apikey.Timestamp(time.UnixMilli(1800000000001).In(time.FixedZone("", 3600)))
	for want, list := range map[string]struct {
		owner  string
		params gen.ListApiKeysParams
	}{
		"AZehsm8AfD2eT1prfI2eD0QTb6NVs2eK": {"", gen.ListApiKeysParams{ItemsPerPage: new(7)}},
		"AZehsm8AfD2eT1prfI2eD6awp8tTf5jP": {"team", gen.ListApiKeysParams{Owner: new("team")}},
		"AZehsm8AfD2eT1prfI2eD23wl8L-AOmt": {"Ключ/&=", gen.ListApiKeysParams{
			Status: new(gen.ApiKeyStatusACTIVE), NameContains: new("a b"), Search: new("é%"), ExpiresBefore: &at, LastUsedBefore: &at, Rotating: new(false),
		}},
	} {
		if got, err := newCursor(id, list.owner, list.params); err != nil || got != want {
			t.Errorf("the cursor is %s, %v, and was %s", got, err, want)
		}
		list.params.Cursor = &want
		if got, err := readCursor(list.owner, list.params); err != nil || got != id {
			t.Errorf("the cursor %s leads to %s, %v", want, got, err)
		}
	}
}
