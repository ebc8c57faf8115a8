// Package logging makes the program's logger, and keeps what strangers can cause from
// filling a disk with it.
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

// NewHandler returns the handler of a log in a format, from a level on.
func NewHandler(w io.Writer, format string, level slog.Level) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if format == JSON {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}
