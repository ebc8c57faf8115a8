package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/url"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
)

// logRequest writes one line. The query is never in it, and what a caller chose only
// redacted: a secret can be put anywhere, even where the method belongs.
func (s *Server) logRequest(c echo.Context, x *exchange) {
	r := c.Request()
	attrs := []slog.Attr{
		slog.String("request_id", x.requestID),
		slog.String("method", loggable(r.Method)),
		slog.String("path", loggable(r.URL.Path)),
		slog.Int("status", c.Response().Status),
		slog.Duration("took", s.Now().Sub(x.start)),
		slog.String("remote", r.RemoteAddr),
	}
	if x.shown != nil {
		attrs = append(attrs, slog.String("key", x.shown.ID.String()), slog.String("owner", loggable(x.shown.Owner)))
	}
	level := slog.LevelInfo
	if x.err != nil {
		attrs = append(attrs, slog.String("code", x.problem.code))
		switch {
		case x.problem.status < 500:
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

// loggable makes text that a caller chose fit for the log: short, and without a
// secret, also one that is percent-encoded more than once.
func loggable(text string) string {
	const maxLength = 256
	decoded := text
	for {
		next, err := url.PathUnescape(decoded)
		if err != nil || next == decoded {
			break
		}
		decoded = next
	}
	if apikey.Redact(decoded) != decoded {
		text = apikey.Redact(decoded)
	}
	if len(text) > maxLength {
		text = text[:maxLength] + "…"
	}
	return text
}
