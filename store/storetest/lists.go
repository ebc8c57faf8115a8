package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

func testList(f *fixture) {
	page, err := f.Keys(f.ctx(), store.Query{Limit: 20})
	f.must(err)
	if page.Total != 0 || len(page.Keys) != 0 {
		f.Fatalf("an empty store lists %d of %d keys", len(page.Keys), page.Total)
	}
	var all, mine []string
	for i := range 9 {
		owner := []string{"acme", "other", "third"}[i%3]
		key := f.create(owner, numbered(i))
		all = append([]string{key.Name}, all...)
		if owner == "acme" {
			mine = append([]string{key.Name}, mine...)
		}
	}
	f.revoke(store.ByName("acme", "key-003"))
	f.clock.Advance(2 * time.Hour) // the others expire; all are listed nonetheless

	f.wantList(store.Query{Limit: 2}, all)
	f.wantList(store.Query{Limit: 100}, all)
	f.wantList(store.Query{Owner: "acme", Limit: 2}, mine)
	f.wantList(store.Query{Owner: "nobody", Limit: 2}, nil)
}

// wantList checks all pages of a query, by Offset and then by After.
func (f *fixture) wantList(q store.Query, want []string) {
	f.Helper()
	var got []string
	for numbered := q; ; numbered.Offset += q.Limit {
		page := f.page(numbered)
		if page.Total != len(want) {
			f.Errorf("total of %+v is %d, want %d", q, page.Total, len(want))
		}
		got = append(got, namesOf(page.Keys)...)
		if page.More != (len(got) < len(want)) {
			f.Errorf("page of %+v: more is %t after %d of %d keys", numbered, page.More, len(got), len(want))
		}
		if len(page.Keys) == 0 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("the list differs (-want +got):\n%s", diff)
	}
	got = nil
	f.walk(q, func(key apikey.Key) { got = append(got, key.Name) })
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("the list by After differs (-want +got):\n%s", diff)
	}
}

// walk returns the keys of all pages, by After.
func (f *fixture) walk(q store.Query, seen func(apikey.Key)) {
	f.Helper()
	for {
		page := f.page(q)
		for _, key := range page.Keys {
			seen(key)
		}
		if !page.More {
			return
		}
		if len(page.Keys) != q.Limit {
			f.Fatalf("keys follow a page of %d, of %d", len(page.Keys), q.Limit)
		}
		q.After = page.Keys[len(page.Keys)-1].ID
	}
}

// page reads a page. For a plain query KeyIDs must agree.
func (f *fixture) page(q store.Query) store.Page {
	f.Helper()
	page, err := f.Keys(f.ctx(), q)
	f.must(err)
	if !q.After.IsZero() && page.Total != 0 {
		f.Errorf("%+v counts %d keys", q, page.Total)
	}
	if !q.IsPlain() {
		return page
	}
	want := store.IDPage{IDs: []apikey.ID{}, Total: page.Total, More: page.More}
	for _, key := range page.Keys {
		want.IDs = append(want.IDs, key.ID)
	}
	got, err := f.KeyIDs(f.ctx(), q)
	f.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("the ids of %+v differ (-keys +ids):\n%s", q, diff)
	}
	return page
}

func namesOf(keys []apikey.Key) []string {
	var names []string
	for _, key := range keys {
		names = append(names, key.Name)
	}
	return names
}
