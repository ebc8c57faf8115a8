package handlers

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
)

// logRequest logs one line. It never holds the query, and text from the request is redacted:
// clients put secrets anywhere, even in the method.
func (s *Server) logRequest(c echo.Context, x *exchange) {
	if x.err != nil && s.refusals != nil && !s.refusals.Pass(x.logCode()) {
		return
	}
	level := slog.LevelInfo
	if x.err != nil && !x.problem.isRefusal() && !x.hungUp() {
		level = slog.LevelError
	}
	// Not through the logger: it would look for the calling line, and copy the attributes.
	ctx, handler := c.Request().Context(), s.Log.Handler()
	if !handler.Enabled(ctx, level) {
		return
	}
	attrs, _ := s.logAttrs.Get().(*[]slog.Attr)
	if attrs == nil {
		attrs = new([]slog.Attr)
	}
	*attrs = s.appendAttrs((*attrs)[:0], c, x)
	line := slog.NewRecord(time.Now(), level, "request", 0)
	line.AddAttrs(slog.Attr{Value: slog.GroupValue(*attrs...)}) // without a name, they belong to the line
	_ = handler.Handle(ctx, line)                               // as the logger does
	clear(*attrs)
	s.logAttrs.Put(attrs)
}

// appendAttrs appends the attributes of a request's line.
func (s *Server) appendAttrs(attrs []slog.Attr, c echo.Context, x *exchange) []slog.Attr {
	r := c.Request()
	attrs = append(attrs,
		slog.String("request_id", x.requestID),
		slog.String("operation", x.answer.Operation),
		slog.String("method", loggable(r.Method)),
		slog.String("path", loggable(r.URL.Path)),
		slog.Int("status", c.Response().Status),
		slog.Duration("took", s.Now().Sub(x.start)),
	)
	if x.address.IsValid() {
		attrs = append(attrs, slog.Any("address", &x.address)) // a pointer allocates nothing
	}
	if x.shown != nil {
		attrs = append(attrs, slog.Any("key", &x.shown.ID), slog.String("owner", loggable(x.shown.Owner)))
	}
	if x.err == nil {
		return attrs
	}
	attrs = append(attrs, slog.String("code", x.logCode()))
	switch {
	case x.problem.isRefusal():
		attrs = append(attrs, slog.String("message", apikey.Redact(x.problem.message)))
	case x.hungUp():
		attrs = append(attrs, slog.String("message", "the client hung up"))
	default:
		attrs = append(attrs, slog.String("error", apikey.Redact(x.err.Error())))
	}
	if panicked, ok := errors.AsType[*panicError](x.err); ok {
		attrs = append(attrs, slog.String("stack", panicked.stack))
	}
	return attrs
}

// codeHungUp is the code of the log alone: nobody is left to answer.
const codeHungUp = "CLIENT_HUNG_UP"

// hungUp reports whether the request failed because its client went away.
func (x *exchange) hungUp() bool { return errors.Is(x.err, context.Canceled) }

// logCode is the problem's code, but for clients that hung up: an outage must not be mistaken for them.
func (x *exchange) logCode() string {
	if !x.problem.isRefusal() && x.hungUp() {
		return codeHungUp
	}
	return x.problem.code
}

// logHeld logs how many refusals got no line of their own.
func (s *Server) logHeld(code string, count int) {
	level := slog.LevelWarn
	if code == codeHungUp {
		level = slog.LevelInfo
	}
	s.Log.Log(context.Background(), level, "refusals without a line of their own", "code", code, "count", count)
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
