package logging

import (
	"context"
	"encoding"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// handler is slog's handler with a shortcut for lines of plain values, which allocates nothing: a busy service logs a
// line for each change (BenchmarkHandler). TestLikeSlog compares both. A logger with attributes or groups of its own
// goes slog's way.
type handler struct {
	slog.Handler
	to    *Writer
	json  bool
	lines sync.Pool // of *line
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	l, _ := h.lines.Get().(*line)
	if l == nil {
		l = new(line)
	}
	defer h.lines.Put(l)
	if l.b, l.json, l.plain = l.b[:0], h.json, true; !l.record(&r) {
		return h.Handler.Handle(ctx, r)
	}
	_, err := h.to.Write(l.b)
	return err
}

// line is a line as it grows. It is no longer plain after the first value that slog must format.
type line struct {
	b           []byte
	json, plain bool
}

// record appends a record, and reports whether it is plain.
func (l *line) record(r *slog.Record) bool {
	if r.Time.IsZero() {
		return false
	}
	const millis = "2006-01-02T15:04:05.000Z07:00"
	if l.json {
		l.b = r.Time.AppendFormat(append(l.b, `{"time":"`...), time.RFC3339Nano)
		l.b = append(l.b, '"')
	} else {
		l.b = r.Time.AppendFormat(append(l.b, "time="...), millis)
	}
	l.key(slog.LevelKey)
	l.text(r.Level.String())
	l.key(slog.MessageKey)
	l.text(r.Message)
	r.Attrs(l.add)
	if l.json {
		l.b = append(l.b, '}')
	}
	l.b = append(l.b, '\n')
	return l.plain
}

// add appends an attribute, and reports whether the line is still plain.
func (l *line) add(a slog.Attr) bool {
	v := a.Value
	if a.Key == "" && v.Kind() == slog.KindGroup { // its attributes belong to the line
		for _, inner := range v.Group() {
			l.add(inner)
		}
		return l.plain
	}
	l.key(a.Key)
	switch v.Kind() { //nolint:exhaustive // slog formats the others
	case slog.KindString:
		l.text(v.String())
	case slog.KindInt64:
		l.b = strconv.AppendInt(l.b, v.Int64(), 10)
	case slog.KindUint64:
		l.b = strconv.AppendUint(l.b, v.Uint64(), 10)
	case slog.KindBool:
		l.b = strconv.AppendBool(l.b, v.Bool())
	case slog.KindDuration:
		if l.json {
			l.b = strconv.AppendInt(l.b, int64(v.Duration()), 10)
		} else {
			l.b = append(l.b, v.Duration().String()...)
		}
	case slog.KindAny:
		l.appender(v.Any())
	default:
		l.plain = false
	}
	return l.plain
}

func (l *line) key(key string) {
	printable, spaces := look(key)
	l.plain = l.plain && printable && !spaces
	if l.json {
		l.b = append(append(append(l.b, `,"`...), key...), `":`...)
	} else {
		l.b = append(append(append(l.b, ' '), key...), '=')
	}
}

func (l *line) text(text string) {
	printable, quoted := look(text)
	l.plain = l.plain && printable
	if l.json || quoted {
		l.b = append(append(append(l.b, '"'), text...), '"')
	} else {
		l.b = append(l.b, text...)
	}
}

// appender appends a value that can append its own text, such as an id or an address.
func (l *line) appender(value any) {
	v, ok := value.(encoding.TextAppender)
	if !ok {
		l.plain = false
		return
	}
	if l.json {
		l.b = append(l.b, '"')
	}
	start := len(l.b)
	b, err := v.AppendText(l.b)
	if l.b = b; err != nil || len(b) < start {
		l.plain = false
		return
	}
	printable, quoted := look(l.b[start:])
	l.plain = l.plain && printable && !quoted
	if l.json {
		l.b = append(l.b, '"')
	}
}

// look reports whether a text is printable ASCII that needs no escapes, and whether slog quotes it in the text format.
func look[T string | []byte](text T) (printable, quoted bool) {
	quoted = len(text) == 0
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c > '~' || c == '"' || c == '\\':
			return false, true
		case c == ' ' || c == '=':
			quoted = true
		}
	}
	return true, quoted
}
