// Package logging writes the program's log without waiting for its reader, and limits log lines that strangers
// can cause, so that they cannot fill the disk.
package logging

import (
	"io"
	"log/slog"
)

// The formats of a log.
const (
	Text = "text" // key=value pairs, for people
	JSON = "json" // one object a line
)

// Start returns a handler that logs from a level on, in one of the formats, and the Writer that writes its lines to
// to. The caller closes the Writer after the last line.
func Start(to io.Writer, format string, level slog.Level) (slog.Handler, *Writer) {
	w := newWriter(to, slogHandler(to, format, level))
	return &handler{Handler: slogHandler(w, format, level), to: w, json: format == JSON}, w
}

func slogHandler(w io.Writer, format string, level slog.Level) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if format == JSON {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}
