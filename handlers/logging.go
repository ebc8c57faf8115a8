package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
)

// Where the echo context keeps what one request leaves for its log line and its errors.
const (
	requestIDField = "request_id"
	keyField       = "key" // the key that was shown, good or not
	errorField     = "error"
	problemField   = "problem"
	changesField   = "changes" // true for an operation that changes something
	basicField     = "basic"   // true for an operation that takes HTTP Basic
)

// requestID names the exchange. It is ours, never the caller's.
func requestID(c echo.Context) string {
	id, _ := c.Get(requestIDField).(string)
	return id
}

// logRequests gives each exchange its id and its common headers, and logs every
// change and every refusal. Reads and verifications that succeed are not worth their cost.
func (s *Server) logRequests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.Now()
		id := rand.Text()
		c.Set(requestIDField, id)
		header := c.Response().Header()
		header.Set("X-Request-Id", id)
		header.Set("Cache-Control", "no-store")
		if err := next(c); err != nil {
			c.Error(err)
		}
		if changes, _ := c.Get(changesField).(bool); changes || c.Response().Status >= 400 {
			s.logRequest(c, s.Now().Sub(start))
		}
		return nil
	}
}

// logRequest writes one line. The query is never in it, and what a caller chose only
// redacted: a secret can be put anywhere, even where the method belongs.
func (s *Server) logRequest(c echo.Context, took time.Duration) {
	r := c.Request()
	attrs := []slog.Attr{
		slog.String("request_id", requestID(c)),
		slog.String("method", loggable(r.Method)),
		slog.String("path", loggable(r.URL.Path)),
		slog.Int("status", c.Response().Status),
		slog.Duration("took", took),
		slog.String("remote", r.RemoteAddr),
	}
	if key, ok := c.Get(keyField).(*apikey.Key); ok {
		attrs = append(attrs, slog.String("key", key.ID.String()), slog.String("owner", loggable(key.Owner)))
	}
	level := slog.LevelInfo
	if p, ok := c.Get(problemField).(problem); ok {
		err, _ := c.Get(errorField).(error)
		attrs = append(attrs, slog.String("code", p.code))
		switch {
		case p.status < 500:
			attrs = append(attrs, slog.String("message", apikey.Redact(p.message)))
		case errors.Is(err, context.Canceled):
			attrs = append(attrs, slog.String("message", "the client hung up"))
		default:
			level = slog.LevelError
			attrs = append(attrs, slog.String("error", apikey.Redact(err.Error())))
		}
		if panicked, ok := errors.AsType[*panicError](err); ok {
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
