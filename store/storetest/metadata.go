package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"apikeyd/apikey"
	"apikeyd/store"
)

// The letters are those of JSON, in which an entry could be mistaken for another.
func testMetadataFilter(f *fixture) {
	random := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // G404: to be repeated
	word := func() string {
		text := ""
		for range random.IntN(3) {
			text += string([]rune(`,:"\{}a`)[random.IntN(7)])
		}
		return text
	}
	var all []apikey.Metadata
	for range 60 {
		m := apikey.Metadata{}
		for range random.IntN(5) {
			m["n"[random.IntN(2):]+word()] = word()
		}
		delete(m, "")
		all = append(all, m)
	}
	all = append(all,
		apikey.Metadata{"a": ",", ":": "x"}, apikey.Metadata{"x,": ":", "y": ""}, apikey.Metadata{",": ":"}, apikey.Metadata{":": ","}, apikey.Metadata{",": ":", ":": ","},
		apikey.Metadata{"plan": "pro", "region": "eu"}, apikey.Metadata{"plan": "pro2"}, apikey.Metadata{"plan": "Pro", "region": ""},
		apikey.Metadata{"xplan": "pro"}, apikey.Metadata{"region": `","plan":"pro`}, apikey.Metadata{"pro": "plan"}, apikey.Metadata{`x"plan`: "pro"},
		apikey.Metadata{"e\u0301": "1", "КЛЮЧ": "1"}, apikey.Metadata{"é": "1", "ключ": "1"})
	for _, name := range slices.Sorted(maps.Keys(metadataSamples())) {
		all = append(all, metadataSamples()[name])
	}
	for i, m := range all {
		f.add(apikey.Settings{Owner: "acme", Name: fmt.Sprint(i), Metadata: m})
	}

	find := func(wanted ...apikey.MetadataEntry) {
		want := []string{}
		for i, m := range slices.Backward(all) {
			if !slices.ContainsFunc(wanted, func(e apikey.MetadataEntry) bool {
				value, has := m[e.Name]
				return !has || value != e.Value
			}) {
				want = append(want, fmt.Sprint(i))
			}
		}
		page := f.page(store.Query{Owner: "acme", Metadata: wanted, Limit: 100})
		if got := namesOf(page.Keys); !slices.Equal(got, want) || page.Total != len(want) {
			f.Errorf("the keys with %q are %q of %d, want %q", wanted, got, page.Total, want)
		}
	}
	for _, m := range all {
		var both []apikey.MetadataEntry
		for name, value := range m {
			find(apikey.MetadataEntry{Name: name, Value: value})
			both = append(both, apikey.MetadataEntry{Name: name, Value: value})
		}
		find(both...)
	}
	for range 100 {
		find(apikey.MetadataEntry{Name: word() + "a", Value: word()})
	}
	for _, name := range []string{"plan", "pla", "PLAN", "$.plan", `"plan"`, "pl_n", "%", "*", "'", "' OR 1=1 --", ",", ":"} {
		for _, value := range []string{"pro", "", "pr", "pro2", "%", "p_o", "' OR ''='", ",", ":"} {
			find(apikey.MetadataEntry{Name: name, Value: value})
		}
	}
	find(apikey.MetadataEntry{Name: "plan", Value: "pro"}, apikey.MetadataEntry{Name: "plan", Value: "Pro"})
	f.wantList(store.Query{Metadata: []apikey.MetadataEntry{{Name: ":", Value: ","}}, Limit: 1}, []string{"64", "63"})
	find(apikey.MetadataEntry{Name: "plan", Value: "Pro"}, apikey.MetadataEntry{Name: "region"})
}
