package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// captured returns real output of wrk.
func captured(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	must(t, err)
	return string(text)
}

func TestParseFigures(t *testing.T) {
	t.Parallel()
	good := captured(t, "good.txt")
	got, err := parseFigures(good)
	must(t, err)
	want := figures{
		requests: 31321, duration: 1004172 * time.Microsecond,
		p50: 1470 * time.Microsecond, p99: 40571 * time.Microsecond,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if rate := got.perSecond(); rate < 31190 || rate > 31191.5 {
		t.Errorf("%f requests per second, where wrk says 31190.87", rate)
	}
	for _, tt := range []struct{ name, output, want string }{
		{"nothing", "", "no figures"},
		{"without our script", strings.ReplaceAll(good, "figures ", ""), "no figures"},
		{"a figure that is no number", strings.ReplaceAll(good, "p50=1470", "p50=nan"), "nan"},
		{"no answers", strings.ReplaceAll(good, "requests=31321", "requests=0"), "no request was answered"},
		{"error statuses", captured(t, "status.txt"), "23921 requests failed (status)"},
		{"unexpected answers", captured(t, "wrong.txt"), "21175 requests failed (wrong)"},
		{"refused connections", strings.ReplaceAll(good, "connect=0", "connect=2"), "2 requests failed (connect)"},
		{"broken reads", strings.ReplaceAll(good, "read=0", "read=3"), "3 requests failed (read)"},
		{"broken writes", strings.ReplaceAll(good, "write=0", "write=4"), "4 requests failed (write)"},
		{"timeouts", strings.ReplaceAll(good, "timeout=0", "timeout=5"), "5 requests failed (timeout)"},
	} {
		if _, err := parseFigures(tt.output); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, err := makeSeed(t.Context(), folder, 250)
	must(t, err)
	before, err := os.Stat(s.database())
	must(t, err)
	again, err := makeSeed(t.Context(), folder, 250)
	must(t, err)
	after, err := os.Stat(again.database())
	must(t, err)
	if s != again || !before.ModTime().Equal(after.ModTime()) {
		t.Error("an existing seed was made again")
	}

	copied := seed{folder: t.TempDir(), keys: 250}
	must(t, copyFile(s.database(), copied.database()))
	page := copied.list(t, store.Query{Owner: "customer-1", Limit: 200})
	if page.Total != keysPerOwner {
		t.Errorf("customer-1 has %d keys, want %d", page.Total, keysPerOwner)
	}
	if all, want := copied.list(t, store.Query{Limit: 1}).Total, 250+len(callers); all != want {
		t.Errorf("%d keys, want %d", all, want)
	}

	lines := s.lines(t)
	if len(lines) != 250 {
		t.Errorf("%d secrets, want 250", len(lines))
	}
	reader, err := os.ReadFile(s.caller("reader"))
	must(t, err)
	if string(reader) != lines[0] {
		t.Error("the reader is not the first of the many")
	}
	key := copied.find(t, lines[249])
	if key.Name != keyName(249) || key.Owner != "customer-2" || key.Metadata["plan"] != "pro" {
		t.Errorf("the last secret is of %+v", key)
	}
	examination, err := sqlstore.ExamineFile(t.Context(), s.database())
	must(t, err)
	contents, err := examination.All(t.Context())
	must(t, errors.Join(err, contents.Altered, examination.Close()))
	if s.folderMode(t)&0o077 != 0 {
		t.Error("others may read a folder with secrets")
	}
}

func TestSeedKeepsSomeSecrets(t *testing.T) {
	t.Parallel()
	for keys, want := range map[int]int{2: 2, 1_000_000: 1_000_000, 1_000_001: 500_001, 10_000_000: 1_000_000} {
		if got := (seed{keys: keys}).known(); got != want {
			t.Errorf("of %d keys, %d secrets are kept, want %d", keys, got, want)
		}
	}
}

func TestMeasureDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	got, err := measureDisk(t.Context(), folder, 1)
	if err != nil || got.appends <= 0 || got.overwrites <= 0 {
		t.Errorf("%+v, error %v", got, err)
	}
	left, err := os.ReadDir(folder)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
}
