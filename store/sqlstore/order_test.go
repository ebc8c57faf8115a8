package sqlstore_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
)

// Keys that were created within one millisecond are listed in the order of their creation,
// whatever the order in which they were stored.
func TestOrderWithinOneMillisecond(t *testing.T) {
	const count = 200
	keys := make([]apikey.Key, count)
	for i := range keys {
		keys[i], _ = databasetest.Draft(t, fmt.Sprint(i))
	}
	sameMillisecond := false
	for i := range count - 1 {
		sameMillisecond = sameMillisecond || [6]byte(keys[i].ID[:6]) == [6]byte(keys[i+1].ID[:6])
	}
	if !sameMillisecond {
		t.Fatal("no two ids were made within one millisecond: the test shows nothing")
	}
	db := databasetest.Open(t, databasetest.NewPath(t))
	const stride = 77 // has no factor in common with count, so every key is stored once
	for i := range count {
		must(t, db.CreateKey(t.Context(), databasetest.Operator, keys[i*stride%count]))
	}
	page, err := db.Keys(t.Context(), store.Query{Limit: count})
	must(t, err)
	want, got := []string{}, []string{}
	for i, key := range page.Keys {
		want, got = append(want, fmt.Sprint(count-1-i)), append(got, key.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" || page.Total != count {
		t.Errorf("%d keys in another order (-want +got):\n%s", page.Total, diff)
	}
}
