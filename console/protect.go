package console

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"apikeyd/apikey"
)

// policy is the Content Security Policy (Level 3): only our own files, no inline scripts or styles,
// no frames. The style sheet contains data: images.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// protect wraps all pages: it sets security headers, refuses forms from other sites and turns panics
// into error pages.
func (s *site) protect(next http.Handler) http.Handler {
	// It checks Sec-Fetch-Site, else Origin, and needs no token in the form (OWASP, Cross-Site
	// Request Forgery Prevention, fetch metadata). SameSite=Strict cookies are the second line.
	same := http.NewCrossOriginProtection()
	same.SetDenyHandler(s.page(func(*visit) error { return errCrossSite }))
	next = same.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		// With no-referrer, browsers would not send the Origin of a form.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		if s.framable(r) {
			s.letFrame(h)
		}
		defer func() {
			switch problem := recover(); problem {
			case nil:
			case http.ErrAbortHandler:
				panic(problem)
			default:
				s.Log.Error("the console panicked", "path", apikey.Redact(r.URL.Path),
					"panic", apikey.Redact(fmt.Sprint(problem)), "stack", string(debug.Stack()))
				s.visit(w, r).fail(errPanic)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
