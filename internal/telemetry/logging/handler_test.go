package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/internal/telemetry/logging"
)

func newLike(w io.Writer, format string) slog.Handler {
	if format == logging.JSON {
		return slog.NewJSONHandler(w, nil)
	}
	return slog.NewTextHandler(w, nil)
}

// Lines are as slog writes them, whatever they hold.
func TestLikeSlog(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddr("2001:db8::1%eth0")
	texts := []string{"", "plain", "two words", "a=b", `"quoted"`, `back\slash`, "new\nline", "я", "🙂", "\xff", "\x7f", "<a&b>"}
	records := []slog.Record{{}, slog.NewRecord(time.Time{}, slog.LevelError, "without a time", 0)}
	add := func(level slog.Level, message string, attrs ...slog.Attr) {
		r := slog.NewRecord(time.Now(), level, message, 0)
		r.AddAttrs(attrs...)
		records = append(records, r)
	}
	for _, text := range texts {
		add(slog.LevelInfo, text)
		add(slog.LevelWarn+1, "key", slog.String(text, "value"))
		add(slog.LevelDebug, "value", slog.String("key", text))
	}
	for _, v := range []slog.Value{
		slog.IntValue(-7), slog.Uint64Value(1 << 63), slog.BoolValue(true), slog.DurationValue(72688 * time.Nanosecond),
		slog.DurationValue(0), slog.Float64Value(0.1), slog.TimeValue(time.Now()), slog.AnyValue(errors.New("an error")),
		slog.AnyValue(&address), slog.AnyValue(address), slog.AnyValue(netip.Addr{}), slog.AnyValue(nil), slog.AnyValue([]string{"a b"}),
		slog.GroupValue(), slog.GroupValue(slog.Int("a", 1), slog.Attr{Value: slog.GroupValue(slog.Int("b", 2))}),
	} {
		add(slog.LevelInfo, "request", slog.Int("before", 1), slog.Attr{Key: "v", Value: v}, slog.Int("after", 2))
		add(slog.LevelInfo, "request", slog.Attr{Value: v}, slog.Int("after", 2))
	}
	for _, format := range []string{logging.Text, logging.JSON} {
		var got, want bytes.Buffer
		h, w := logging.Start(&got, format, slog.LevelDebug)
		like := newLike(&want, format)
		for _, with := range []func(slog.Handler) slog.Handler{
			func(h slog.Handler) slog.Handler { return h },
			func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.Int("with", 1)}) },
			func(h slog.Handler) slog.Handler { return h.WithGroup("group") },
		} {
			for _, r := range records {
				if err := errors.Join(with(h).Handle(t.Context(), r), with(like).Handle(t.Context(), r)); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.Close()
		gotLines, wantLines := bytes.Split(got.Bytes(), []byte("\n")), bytes.Split(want.Bytes(), []byte("\n"))
		if diff := cmp.Diff(texted(wantLines), texted(gotLines)); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", format, diff)
		}
		if format == logging.JSON && !slices.ContainsFunc(gotLines, json.Valid) {
			t.Error("there is no JSON at all")
		}
	}
}

func texted(lines [][]byte) (texts []string) {
	for _, line := range lines {
		texts = append(texts, string(line))
	}
	return texts
}

// pipe returns both ends of a pipe.
func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(read.Close(), write.Close()) })
	return read, write
}

// Lines that are logged at the same time arrive whole, in the order of each goroutine, and none is lost at the end.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	read, write := pipe(t)
	h, w := logging.Start(write, logging.JSON, slog.LevelInfo)
	log := slog.New(h)
	const callers, each = 8, 1000
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				log.Info("line", "caller", c, "n", i)
			}
		})
	}
	counted := make(chan [callers]int)
	go func() {
		var next [callers]int
		defer func() { counted <- next }()
		for d := json.NewDecoder(read); ; {
			var line struct{ Caller, N int }
			if err := d.Decode(&line); err != nil {
				return // the end
			}
			if line.N == next[line.Caller] {
				next[line.Caller]++
			}
		}
	}()
	all.Wait()
	w.Close()
	_ = write.Close()
	for c, n := range <-counted {
		if n != each {
			t.Errorf("of caller %d's lines, %d arrived in order", c, n)
		}
	}
	if n := w.Dropped(); n != 0 {
		t.Errorf("%d lines were dropped", n)
	}
	log.Info("too late")
	if w.Dropped() != 1 {
		t.Error("a line after the end is not counted")
	}
}

// A reader that does not read stops nobody. It learns later how many lines it missed.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	read, write := pipe(t)
	h, w := logging.Start(write, logging.JSON, slog.LevelInfo)
	log := slog.New(h)
	logged := 0
	for w.Dropped() < 100 { // a full pipe, and all that may wait
		log.Info("line", "n", logged)
		logged++
	}
	lines, told := 0, 0
	d := json.NewDecoder(read)
	for lines+told < logged {
		var line struct {
			Msg   string
			Count int
		}
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Msg == "line" {
			lines++
		} else {
			told += line.Count
		}
	}
	if uint64(told) != w.Dropped() || told < 100 { //nolint:gosec // not negative
		t.Errorf("told of %d dropped lines, not of %d", told, w.Dropped())
	}
	w.Close()
}

// Nor does one that never reads again keep the program from ending.
func TestStuckReader(t *testing.T) {
	t.Parallel()
	_, write := pipe(t)
	h, w := logging.Start(write, logging.Text, slog.LevelInfo)
	log := slog.New(h)
	for w.Dropped() == 0 {
		log.Info("line")
	}
	w.Close() // returns
}

// Lines that cannot be written are counted too.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	read, write := pipe(t)
	h, w := logging.Start(write, logging.Text, slog.LevelInfo)
	_ = read.Close()
	slog.New(h).Info("line")
	w.Close()
	if n := w.Dropped(); n != 1 {
		t.Errorf("%d lines were dropped, want 1", n)
	}
}

// BenchmarkHandler logs the line of a change.
func BenchmarkHandler(b *testing.B) {
	address := netip.MustParseAddr("127.0.0.1")
	attrs := []slog.Attr{
		slog.String("request_id", "DWSVHUGP2CF7WMKK6KS3AEIPLA"), slog.String("operation", "createApiKey"),
		slog.String("method", "POST"), slog.String("path", "/v1/api-keys"), slog.Int("status", 201),
		slog.Duration("took", 19400291), slog.Any("address", &address),
		slog.String("key", "01a21484-c000-79f6-ab61-1449cc8dd132"), slog.String("owner", "admin"),
	}
	ctx := context.Background()
	for _, format := range []string{logging.Text, logging.JSON} {
		h, w := logging.Start(io.Discard, format, slog.LevelInfo)
		for name, h := range map[string]slog.Handler{"ours": h, "slog": newLike(io.Discard, format)} {
			b.Run(format+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r := slog.NewRecord(time.Now(), slog.LevelInfo, "request", 0)
					r.AddAttrs(slog.Attr{Value: slog.GroupValue(attrs...)})
					_ = h.Handle(ctx, r)
				}
			})
		}
		w.Close()
	}
}
