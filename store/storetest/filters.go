package storetest

import (
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

func testFilters(f *fixture) {
	start := f.clock.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	add := func(owner, name string, lifetime time.Duration) apikey.Key {
		return f.add(apikey.Settings{Owner: owner, Name: name, ExpiresAt: at(lifetime)})
	}
	const ms, minute, hour = time.Millisecond, time.Minute, time.Hour
	build := add("acme", "ci build", hour)
	add("acme", "ci deploy", 2*hour)
	web := add("acme", "web", 3*hour)
	add("other", "ci other", hour)
	old := add("acme", "old ci", hour)
	f.revoke(store.ByID(old.ID))
	f.clock.Advance(30 * minute)
	add("acme", "late", hour)
	f.must(f.RecordUses(f.ctx(), []store.Use{{Key: build.ID, LastUsedAt: at(10 * minute)}, {Key: web.ID, LastUsedAt: at(90 * minute)}}))

	all := []string{"late", "old ci", "ci other", "web", "ci deploy", "ci build"}
	for _, tt := range []struct {
		name string
		q    store.Query
		want string // newest first, joined by ", "
	}{
		{"none", store.Query{}, strings.Join(all, ", ")},
		{"an instant alone", store.Query{At: at(hour)}, strings.Join(all, ", ")},

		{"active", store.Query{Status: apikey.StatusActive, At: at(0)}, "late, ci other, web, ci deploy, ci build"},
		{"expired", store.Query{Status: apikey.StatusExpired, At: at(0)}, ""},
		{"revoked", store.Query{Status: apikey.StatusRevoked, At: at(0)}, "old ci"},
		{"active a moment before an end", store.Query{Status: apikey.StatusActive, At: at(hour - 1)}, "late, ci other, web, ci deploy, ci build"},
		{"expired a moment before an end", store.Query{Status: apikey.StatusExpired, At: at(hour - 1)}, ""},
		{"active at an end", store.Query{Status: apikey.StatusActive, At: at(hour)}, "web, ci deploy"},
		{"expired at an end", store.Query{Status: apikey.StatusExpired, At: at(hour)}, "late, ci other, ci build"},
		{"revoked, past its end", store.Query{Status: apikey.StatusRevoked, At: at(5 * hour)}, "old ci"},
		{"expired, all of them", store.Query{Status: apikey.StatusExpired, At: at(5 * hour)}, "late, ci other, web, ci deploy, ci build"},

		{"expires before an end", store.Query{ExpiresBefore: at(hour)}, ""},
		{"expires before a moment after", store.Query{ExpiresBefore: at(hour + ms)}, "late, old ci, ci other, ci build"},
		{"expires before the last", store.Query{ExpiresBefore: at(3*hour + ms)}, strings.Join(all, ", ")},
		{"expires before 1970", store.Query{ExpiresBefore: time.UnixMilli(-1)}, ""},

		{"used before all", store.Query{LastUsedBefore: at(0)}, ""},
		{"never used counts from creation", store.Query{LastUsedBefore: at(ms)}, "old ci, ci other, ci deploy"},
		{"used before the first use", store.Query{LastUsedBefore: at(10 * minute)}, "old ci, ci other, ci deploy"},
		{"used before a moment after it", store.Query{LastUsedBefore: at(10*minute + ms)}, "old ci, ci other, ci deploy, ci build"},
		{"created late, never used", store.Query{LastUsedBefore: at(30*minute + ms)}, "late, old ci, ci other, ci deploy, ci build"},
		{"used before a later use", store.Query{LastUsedBefore: at(90*minute + ms)}, strings.Join(all, ", ")},

		{"owner and name", store.Query{Owner: "acme", NameContains: "ci"}, "old ci, ci deploy, ci build"},
		{"owner, name and status", store.Query{Owner: "acme", NameContains: "ci", Status: apikey.StatusActive, At: at(hour)}, "ci deploy"},
		{"status and end", store.Query{Status: apikey.StatusActive, At: at(0), ExpiresBefore: at(2 * hour)}, "late, ci other, ci build"},
		{"end and use", store.Query{ExpiresBefore: at(2 * hour), LastUsedBefore: at(minute)}, "old ci, ci other"},
		{"all", store.Query{Owner: "acme", NameContains: "c", Status: apikey.StatusExpired, At: at(hour),
			ExpiresBefore: at(2 * hour), LastUsedBefore: at(hour)}, "ci build"},
		{"all, and one does not fit", store.Query{Owner: "acme", NameContains: "c", Status: apikey.StatusExpired, At: at(hour),
			ExpiresBefore: at(2 * hour), LastUsedBefore: at(minute)}, ""},
		{"nobody's", store.Query{Owner: "nobody", NameContains: "ci"}, ""},
	} {
		var want []string
		if tt.want != "" {
			want = strings.Split(tt.want, ", ")
		}
		failed := f.Failed()
		for _, limit := range []int{1, 2, 100} {
			q := tt.q
			q.Limit = limit
			f.wantList(q, want)
		}
		if f.Failed() && !failed {
			f.Errorf("that was the filter: %s", tt.name)
		}
	}
}

// After the clock was set back, a key is used before its creation, and is not older for that.
func testUnusedFromCreation(f *fixture) {
	start := f.clock.Now()
	key := f.create("acme", "ahead")
	f.must(f.RecordUses(f.ctx(), []store.Use{{Key: key.ID, LastUsedAt: start.Add(-time.Hour)}}))
	for _, owner := range []string{"", "acme"} {
		f.wantList(store.Query{Owner: owner, LastUsedBefore: start, Limit: 1}, nil)
		f.wantList(store.Query{Owner: owner, LastUsedBefore: start.Add(time.Millisecond), Limit: 1}, []string{"ahead"})
	}
}

func testNameContains(f *fixture) {
	names := []string{
		"100%", "100", "1%0", "a_b", "axb", "ab", "A", "a", "ä", "Ä", "\u00e9", "e\u0301", "it's", `"q"`, `a\b`, `\`,
		"ключ", "КЛЮЧ", "🔑", "🔐", "%", "_", "*", "?", "[a]", "a b", "a  b", "aab", "İ", "ı", "i", "ß", "ss",
		"' OR 1=1 --", "$1", "$2", "a/b", "a%2Fb", strings.Repeat("n", 255),
	}
	for _, name := range names {
		f.create("acme", name)
	}
	slices.Reverse(names) // newest first
	needles := append([]string{"", "%%", "__", "_b", "b%", "люч", "b", " ", "''", `\\`, "aa", "\u0301", strings.Repeat("n", 254),
		"nobody", "axbaxb"}, names...)
	for _, needle := range needles {
		var want []string
		for _, name := range names {
			if strings.Contains(name, needle) {
				want = append(want, name)
			}
		}
		f.wantList(store.Query{NameContains: needle, Limit: 100}, want)
	}
}
