package handlers

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
)

// logRequest logs one line. It never holds the query, and text from the request is redacted:
// clients put secrets anywhere, even in the method.
func (s *Server) logRequest(c echo.Context, x *exchange) {
	if x.err != nil && s.refusals != nil && !s.refusals.Pass(x.problem.code) {
		return
	}
	r := c.Request()
	attrs := []slog.Attr{
		slog.String("request_id", x.requestID),
		slog.String("operation", x.answer.Operation),
		slog.String("method", loggable(r.Method)),
		slog.String("path", loggable(r.URL.Path)),
		slog.Int("status", c.Response().Status),
		slog.Duration("took", s.Now().Sub(x.start)),
	}
	if x.address.IsValid() {
		attrs = append(attrs, slog.String("address", x.address.String()))
	}
	if x.shown != nil {
		attrs = append(attrs, slog.String("key", x.shown.ID.String()), slog.String("owner", loggable(x.shown.Owner)))
	}
	level := slog.LevelInfo
	if x.err != nil {
		attrs = append(attrs, slog.String("code", x.problem.code))
		switch {
		case x.problem.isRefusal():
			attrs = append(attrs, slog.String("message", apikey.Redact(x.problem.message)))
		case errors.Is(x.err, context.Canceled):
			attrs = append(attrs, slog.String("message", "the client hung up"))
		default:
			level = slog.LevelError
			attrs = append(attrs, slog.String("error", apikey.Redact(x.err.Error())))
		}
		if panicked, ok := errors.AsType[*panicError](x.err); ok {
			attrs = append(attrs, slog.String("stack", panicked.stack))
		}
	}
	s.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// logHeld logs how many refusals got no line of their own.
func (s *Server) logHeld(code string, count int) {
	s.Log.Warn("refusals without a line of their own", "code", code, "count", count)
}

// loggable prepares text from a request for the log: it shortens the text, and redacts secrets,
// including those that are percent-encoded once or several times.
func loggable(text string) string {
	const (
		maxLength = 256
		maxRead   = 2048 // before decoding: an encoded character has three
		maxPasses = 8
	)
	text = text[:min(len(text), maxRead)]
	decoded := text
	for pass := 0; ; pass++ {
		next := decodePercent(decoded)
		if next == decoded {
			break
		}
		if pass == maxPasses {
			return "[redacted]" // no honest client encodes so often
		}
		decoded = next
	}
	if redacted := apikey.Redact(decoded); redacted != decoded {
		text = redacted
	}
	if len(text) > maxLength {
		text = text[:maxLength] + "…"
	}
	return text
}

// decodePercent decodes well-formed percent-encoding and keeps the rest.
func decodePercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if value, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				decoded = append(decoded, value[0])
				i += 2
				continue
			}
		}
		decoded = append(decoded, s[i])
	}
	return string(decoded)
}
