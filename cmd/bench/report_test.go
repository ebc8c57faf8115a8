package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []int
		want   spread[int]
	}{
		{[]int{7}, spread[int]{7, 7, 7}},
		{[]int{9, 1}, spread[int]{1, 1, 9}},
		{[]int{9, 1, 5}, spread[int]{5, 1, 9}},
		{[]int{4, 3, 2, 1}, spread[int]{2, 1, 4}},
		{[]int{100, 3, 3, 2, 1}, spread[int]{3, 1, 100}},
	} {
		before := append([]int{}, tt.values...)
		if got := spreadOf(tt.values); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.values, got, tt.want)
		}
		if diff := cmp.Diff(before, tt.values); diff != "" {
			t.Errorf("the values changed: %s", diff)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		thousands(0):       "0",
		thousands(999):     "999",
		thousands(1000):    "1,000",
		thousands(1234567): "1,234,567",
		number(spread[float64]{1000.5, 999.4, 12345.6}): "1,001 (999–12,346)",
		fraction(spread[float64]{0.5, 0.123, 1.006}):    "0.50 (0.12–1.01)",
		fraction(spread[float64]{0.0123, 0.01, 0.02}):   "0.0123 (0.0100–0.0200)",
		duration(41_400 * time.Nanosecond):              "41 µs",
		duration(1234 * time.Microsecond):               "1.23 ms",
		duration(12_340 * time.Microsecond):             "12.3 ms",
		duration(1234 * time.Millisecond):               "1234 ms",
		mebibytes(96 << 20):                             "96 MiB",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestProc(t *testing.T) {
	t.Parallel()
	// Written by Linux 6.18, with the worst possible name.
	const stat = "13139 (a) R 1 (b) R 12734 12734 24117 0 -1 4194304 100 0 0 0 123 45 7 8 20 0 1 0 237489 3133440\n"
	if got, err := parseCPUTime(stat); err != nil || got != 1680*time.Millisecond {
		t.Errorf("CPU time %s, error %v", got, err)
	}
	for _, bad := range []string{"", "1 (a) R 1 2 3", strings.ReplaceAll(stat, "123", "many")} {
		if _, err := parseCPUTime(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	const status = "VmRSS:\t    2164 kB\nRssAnon:\t     152 kB\nRssFile:\t    2012 kB\n"
	if got, err := parseAnonymous(status); err != nil || got != 152<<10 {
		t.Errorf("%d bytes, error %v", got, err)
	}
	if _, err := parseAnonymous("VmRSS:\t 2164 kB\n"); err == nil {
		t.Error("no error without RssAnon")
	}
}

// madeUp returns a load of one second.
func madeUp(requests int, cpu time.Duration, mebibytes int) sample {
	return sample{
		figures: figures{requests: requests, duration: time.Second, p50: time.Millisecond, p99: 9 * time.Millisecond},
		cpu:     cpu, memory: mebibytes << 20, others: float64(mebibytes) / 1000,
	}
}

func madeUpReport() *report {
	return &report{
		machine: machine{
			hardware: "2 × a processor, 4 GiB of memory", system: "linux 6.18, amd64",
			program: "commit 0123456789ab, go1.26.8", echo: "v4.16.0", wrk: "wrk 4.1.0",
		},
		date:    time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC),
		command: runCommand{Pairs: 2, Seconds: 1, Keys: []int{1000, 2000}, Connections: []int{1, 64}},
		notes:   []string{"The disk has room for 2,000 keys instead of 4,000."},
		binary:  20_900_000,
		starts:  []startTimes{{1000, []time.Duration{30 * time.Millisecond, 40 * time.Millisecond, 20 * time.Millisecond}}},
		cells: []cell{
			{row: "get", title: "get one", keys: 1000, connections: 64, pairs: []pair{
				{floor: madeUp(2000, 2*time.Second, 8), ours: madeUp(1000, 2*time.Second, 20)},
				{floor: madeUp(1000, time.Second, 9), ours: madeUp(900, time.Second, 97)},
			}},
			{row: "get", title: "get one", keys: 2000, connections: 64, pairs: []pair{
				{floor: madeUp(1000, time.Second, 8), ours: madeUp(200, time.Second, 20)},
			}},
			{row: "create", title: "create, durable", keys: 2000, connections: 1, pairs: []pair{
				{floor: madeUp(1000, time.Second, 8), ours: madeUp(90, time.Second, 20), disk: disk{100, 200}},
				{floor: madeUp(1000, time.Second, 8), ours: madeUp(80, time.Second, 20), disk: disk{100, 200}},
			}},
			{row: "plain-map", title: "plain", keys: 2000, connections: 64, pairs: []pair{
				{floor: madeUp(1000, time.Second, 8), ours: madeUp(500, time.Second, 500)},
			}},
			{row: "postgres-create", title: "PostgreSQL: create, durable", keys: 2000, connections: 64, pairs: []pair{
				{floor: madeUp(1000, time.Second, 8), ours: madeUp(60, time.Second, 20), inserts: 100},
			}},
		},
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/report.md")
	must(t, err)
	if diff := cmp.Diff(string(want), madeUpReport().String()); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}

func TestReplaceReport(t *testing.T) {
	t.Parallel()
	const before, after = "# Title\n\n" + reportBegin + "\n", reportEnd + "\n\nmore\n"
	want := before + "\nnew\n\n" + after
	for _, document := range []string{before + after, before + "\nold\n" + after, want} {
		if got := replaceReport(document, "new\n"); got != want {
			t.Errorf("%q became %q", document, got)
		}
	}
	for _, document := range []string{"", "no markers", before, after} {
		if got := replaceReport(document, "new\n"); got != "new\n" {
			t.Errorf("%q became %q", document, got)
		}
	}
}

// The document that make bench writes to must have the markers.
func TestDocumentHasMarkers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/performance.md")
	must(t, err)
	if got := replaceReport(string(text), "new"); !strings.HasPrefix(got, "# Performance") {
		t.Error("docs/performance.md has no place for the report")
	}
}

func TestFloor(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	floorHandler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if answer.Code != http.StatusOK || answer.Body.Len() != 300 {
		t.Errorf("status %d, %d bytes, want 300", answer.Code, answer.Body.Len())
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--pairs", "0"}, {"--seconds", "-1"}, {"--connections", "1,0"}, {"--keys", "1"}, {"--rows", "delete"},
		{"--engines", "oracle"},
		{"--program", "testdata/missing"}, {"--program", "testdata/good.txt"}, {"nonsense"},
	} {
		if err := bench(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// Targets are for a million keys or the next below; that number alone has all connections and engines.
func TestMainNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keys, connections []int
		main, usual       int
	}{
		{[]int{1000, 1_000_000, 10_000_000}, []int{1, 64, 256}, 1_000_000, 64},
		{[]int{1000}, []int{8}, 1000, 8},
		{[]int{2_000_000, 3_000_000}, []int{1, 2}, 2_000_000, 2},
	} {
		c := &runCommand{Keys: tt.keys, Connections: tt.connections, Engines: engines}
		if c.mainKeys() != tt.main || c.mainConnections() != tt.usual {
			t.Errorf("%v, %v: %d keys, %d connections", tt.keys, tt.connections, c.mainKeys(), c.mainConnections())
		}
		for _, keys := range tt.keys {
			if got := len(c.connections(keys)) == len(tt.connections); got != (keys == tt.main || len(tt.connections) == 1) {
				t.Errorf("%d of %v keys: all connections: %t", keys, tt.keys, got)
			}
			if !c.measures(sqlite, keys) || c.measures(postgres, keys) != (keys == tt.main) {
				t.Errorf("%d of %v keys: other engines", keys, tt.keys)
			}
		}
	}
	c := &runCommand{Keys: []int{1000}, Engines: []string{plain, postgres}, Rows: []string{"plain", "get"}}
	if len(c.rows()) != 1 || c.measures(sqlite, 1000) || c.measures(postgres, 1000) || !c.measures(plain, 1000) {
		t.Errorf("%+v", c.rows())
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	c, rep := &runCommand{Keys: []int{1000, 1_000_000, 10_000_000}}, &report{}
	c.fit(4_000_000*bytesPerKey, rep)
	if diff := cmp.Diff([]int{1000, 1_000_000, 2_500_000}, c.Keys); diff != "" {
		t.Error(diff)
	}
	want := []string{"The disk has room for 2,500,000 keys instead of 10,000,000."}
	if diff := cmp.Diff(want, rep.notes); diff != "" || rep.command.Keys[2] != 2_500_000 {
		t.Error(diff)
	}
}

// Of any number of keys, nine in ten verifications miss the cache.
func TestCache(t *testing.T) {
	t.Parallel()
	for _, r := range rows {
		for keys, want := range map[int]int{2: 1, 1000: 100, 1_000_000: 100_000, 10_000_000: 100_000} {
			if !r.misses {
				want = fewKeys
			}
			if got := r.cache(keys); got != want {
				t.Errorf("%s of %d keys: a cache of %d, want %d", r.name, keys, got, want)
			}
		}
	}
}
