// Package logging makes the program's log handler, and limits log lines that strangers can cause, so
// that they cannot fill the disk.
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

// NewHandler returns a handler that logs from a level on, in one of the formats.
func NewHandler(w io.Writer, format string, level slog.Level) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if format == JSON {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}
