package service

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/testkit/program"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
)

func TestNoticeFlags(t *testing.T) {
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		flags   noticeFlags
		want    []time.Duration
		refused string
	}{
		"some":              {noticeFlags{ExpiryNotices: []time.Duration{30 * day, time.Second}}, []time.Duration{30 * day, time.Second}, ""},
		"none":              {noticeFlags{ExpiryNotices: []time.Duration{0}}, nil, ""},
		"nothing":           {noticeFlags{}, nil, ""},
		"none among others": {noticeFlags{ExpiryNotices: []time.Duration{day, 0}}, nil, "--expiry-notices must be durations of a second"},
		"a negative one":    {noticeFlags{ExpiryNotices: []time.Duration{-day}}, nil, "--expiry-notices must be durations of a second"},
		"too many":          {noticeFlags{ExpiryNotices: slices.Repeat([]time.Duration{day}, 11)}, nil, "at most ten"},
		"a negative age":    {noticeFlags{AdminKeyAge: -day}, nil, "--admin-key-age must not be negative"},
	} {
		err := tt.flags.Validate()
		if tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
			t.Errorf("%s: %v, want %q", name, err, tt.refused)
		}
		if got := tt.flags.rules().Thresholds; err == nil && !slices.Equal(got, tt.want) {
			t.Errorf("%s: the thresholds are %v", name, got)
		}
	}
}

// A server that starts again while keys are due says of each what the one before did not, and both log it.
func TestNoticesThroughRestarts(t *testing.T) {
	clock, path := storetest.NewClock(), filepath.Join(t.TempDir(), "keys.db")
	var out program.Output
	log := slog.New(slog.NewTextHandler(&out, nil))
	const keys, day = 5300, 24 * time.Hour // more than one look sees
	open := func() *sqlstore.DB {
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true, Now: clock.Now, Log: log})
		must(t, err)
		return db
	}
	db := open()
	var creating sync.WaitGroup
	for c := range 100 {
		creating.Go(func() {
			for i := c; i < keys; i += 100 {
				key, _, err := apikey.Policy{}.NewKey(clock.Now(), apikey.Settings{
					Owner: "acme", Name: fmt.Sprint("key ", i), ExpiresAt: clock.Now().Add(40 * day),
				})
				if err := errors.Join(err, db.CreateKey(t.Context(), store.Operator("test"), key)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	creating.Wait()
	written := func() int {
		return int(db.Stats().Changes[store.ActionExpiring] + db.Stats().Changes[store.ActionExpired])
	}
	look := func(n *notices) {
		t.Helper()
		must(t, n.look(t.Context()))
	}
	server := func() *notices {
		return &notices{store: db, rules: noticeFlags{ExpiryNotices: []time.Duration{30 * day}}.rules(), out: log}
	}
	look(server())
	clock.Advance(20 * day)
	look(server())
	first := written()
	must(t, db.Close())
	db = open()
	again := server()
	look(again)
	look(again)
	if second := written(); first != noticeCalls*1000 || first+second != keys {
		t.Errorf("the first server wrote %d notices, and the second %d; want %d together", first, second, keys)
	}
	clock.Advance(20 * day)
	look(again)
	look(again)
	if n := written(); n != keys-first+keys {
		t.Errorf("with the ends there are %d notices of the second server, want %d", n, keys-first+keys)
	}
	if lines := strings.Count(out.String(), "level=WARN"); lines != 2*keys {
		t.Errorf("the log has %d lines, want %d", lines, 2*keys)
	}
	must(t, db.Close())
}
