package handlers

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
)

// Where the echo context keeps what one request leaves for its log line.
const (
	requestIDField = "request_id"
	errorField     = "error"
)

// requestID names the exchange. It is ours, never the caller's.
func requestID(c echo.Context) string {
	id, _ := c.Get(requestIDField).(string)
	return id
}

// logRequests gives each exchange its id and its common headers, and logs every
// change and every refusal. Reads that succeed are not worth their cost.
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
		if c.Response().Status >= 400 || changes(c.Request().Method) {
			s.logRequest(c, s.Now().Sub(start))
		}
		return nil
	}
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// logRequest writes one line. The query is never in it, and what a caller chose only
// redacted: a secret can be put anywhere, even where the method belongs.
func (s *Server) logRequest(c echo.Context, took time.Duration) {
	r := c.Request()
	attrs := []slog.Attr{
		slog.String("request_id", requestID(c)),
		slog.String("method", apikey.Redact(r.Method)),
		slog.String("path", apikey.Redact(r.URL.Path)),
		slog.Int("status", c.Response().Status),
		slog.Duration("took", took),
		slog.String("remote", r.RemoteAddr),
	}
	if who, ok := callerFrom(r.Context()); ok && !who.key.ID.IsZero() {
		attrs = append(attrs, slog.String("key", who.key.ID.String()),
			slog.String("owner", apikey.Redact(who.key.Owner)))
	}
	level := slog.LevelInfo
	if err, ok := c.Get(errorField).(error); ok {
		attrs = append(attrs, slog.String("error", apikey.Redact(err.Error())))
		if panicked, ok := errors.AsType[*panicError](err); ok {
			attrs = append(attrs, slog.String("stack", panicked.stack))
		}
	}
	if c.Response().Status >= 500 {
		level = slog.LevelError
	}
	s.Log.LogAttrs(r.Context(), level, "request", attrs...)
}
