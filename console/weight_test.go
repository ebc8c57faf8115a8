package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"golang.org/x/net/html"
)

// maxWeight is how many bytes a first visit of a page may load, compressed.
const maxWeight = 100_000

// TestWeights adds up the size of each page and everything that it loads. With -v it prints a table.
func TestWeights(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	for i := range 25 { // a full page of keys
		k.add("acme", "production key number "+string(rune('a'+i)), "datasets:read", "datasets:write")
	}
	seen := map[string]int{}
	for _, s := range everyScene() {
		page := s.visit(k)
		total, assets := len(page.body), 0
		for _, address := range loaded(page) {
			if seen[address] == 0 {
				v := k.visitor()
				v.header["Accept-Encoding"] = "gzip"
				seen[address] = len(v.get(address).want(http.StatusOK).body)
				t.Logf("%7d  %s", seen[address], address)
			}
			total, assets = total+seen[address], assets+1
		}
		if assets < 5 {
			t.Errorf("%s: only %d assets are found", s.name, assets)
		}
		t.Logf("%7d  %s: the page %d and %d assets", total, s.name, len(page.body), assets)
		if total > maxWeight {
			t.Errorf("%s: a first visit loads %d bytes", s.name, total)
		}
	}
}

// loaded returns the addresses that a page loads.
func loaded(a reply) (addresses []string) {
	a.Helper()
	base, err := url.Parse(a.address())
	a.must(err)
	for n := range parse(a.T, a.body).Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		name := map[string]string{"script": "src", "img": "src", "link": "href"}[n.Data]
		if name == "" || attr(n, name) == "" {
			continue
		}
		to, err := base.Parse(attr(n, name))
		a.must(err)
		if address := to.RequestURI(); !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	return addresses
}
