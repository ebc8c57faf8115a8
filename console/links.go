package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"apikeyd/apikey"
	"apikeyd/client"
)

// Sessions begins and ends the sessions of people who have no key.
type Sessions interface {
	// SignIn starts the session of a person with these settings, and returns its secret.
	SignIn(r *http.Request, settings apikey.Settings) (apikey.Secret, error)
	// Open opens an owner link, once, and returns the secret of its session. Its errors are apikey.ErrNoLink and
	// apikey.ErrTooManyLinks, if nothing failed.
	Open(r *http.Request, token string) (apikey.Secret, error)
	// End revokes the key of a session. One that has ended already is no error.
	End(r *http.Request, secret string) error
}

// LinkPages is how the console looks to people who come by an owner link. They learn nothing of its operator, nor
// which program this is.
type LinkPages struct {
	Title   string   // of the pages; "API keys" if empty
	Logo    []byte   // an image; nil for none
	Accent  string   // a colour, #rrggbb; empty for the console's own
	Return  string   // the address to go back to; empty for none
	Framers []string // the origins that may show the pages in a frame, over TLS
}

const (
	linkPath         = Path + "/link"
	defaultLinkTitle = "API keys"
)

// linkHides are the ends of patterns below /keys that people who come by a link do not get.
var linkHides = []string{"/then", "/review"}

// forLinks reports whether people who come by a link get the page of a pattern.
func forLinks(pattern string) bool {
	_, path, _ := strings.Cut(pattern, " ")
	return strings.HasPrefix(path, Path+"/keys") && !slices.ContainsFunc(linkHides, func(end string) bool { return strings.HasSuffix(path, end) })
}

// linkPage is where an owner link leads.
type linkPage struct {
	Ended   bool   // there is nothing to open: the session is over
	Problem string // why the link did not open
}

// showLink shows the page that opens a link. The token is in the fragment of its address, so that it reaches no log;
// the page's script sends it. Programs that only look at an address, as those that show a preview, open nothing.
func showLink(v *visit) error {
	v.showLinkPage(http.StatusOK, linkPage{})
	return nil
}

func (v *visit) showLinkPage(status int, p linkPage) {
	v.me, v.session = client.Key{}, session{Kind: apikey.SessionLink}
	v.show(status, "link", v.Links.title(), p)
}

func (l LinkPages) title() string {
	if l.Title == "" {
		return defaultLinkTitle
	}
	return l.Title
}

// openLink starts the session of a link. Its address is not the link's: a browser that is there would not load another
// link, which differs in its fragment alone.
func openLink(v *visit) error {
	if v.Sessions == nil {
		return errNotFound
	}
	secret, err := v.Sessions.Open(v.r, strings.TrimSpace(v.form.Get("token")))
	switch {
	case errors.Is(err, apikey.ErrTooManyLinks):
		v.showLinkPage(http.StatusTooManyRequests, linkPage{Problem: "Too many links from your address did not open. Wait a minute, then ask for another link."})
		return nil
	case errors.Is(err, apikey.ErrNoLink):
		v.showLinkPage(http.StatusForbidden, linkPage{Problem: "This link does not open. It works once, for five minutes. Ask for another one where you got it."})
		return nil
	case err != nil:
		return err
	}
	v.endSession(v.w, v.r)
	v.session = newSession(secret.Reveal(), v.now)
	v.session.Kind = apikey.SessionLink
	v.setSession(v.w, v.r, v.session)
	return v.redirect(Path + "/keys")
}

// showLinkLogo serves the logo.
func showLinkLogo(v *visit) error {
	if v.Links.Logo == nil {
		return errNotFound
	}
	kind := http.DetectContentType(v.Links.Logo)
	if !strings.HasPrefix(kind, "image/") {
		kind = "image/svg+xml" // which is not detected; LogoFault has checked
	}
	v.w.Header().Set("Content-Type", kind)
	_, _ = v.w.Write(v.Links.Logo) //nolint:gosec // G705: the operator chose the image; the browser may have gone
	return nil
}

// MaxLogo is how large a logo may be, in bytes.
const MaxLogo = 256 << 10

// LogoFault says what is wrong with a logo; empty if nothing is.
func LogoFault(logo []byte) string {
	switch {
	case len(logo) > MaxLogo:
		return "must have at most 256 KiB"
	case !strings.HasPrefix(http.DetectContentType(logo), "image/") && !bytes.Contains(logo[:min(len(logo), 1024)], []byte("<svg")):
		return "must be an SVG, PNG, JPEG, GIF or WebP image"
	}
	return ""
}

// showLinkStyle serves the accent colour. A page's own style would need a weaker security policy. Text on the colour is
// black or white, and the colour of links is mixed towards the text's, so that both are readable, light and dark.
func showLinkStyle(v *visit) error {
	v.w.Header().Set("Content-Type", mediaTypes[".css"])
	if v.Links.Accent == "" {
		return nil
	}
	var r, g, b int
	if _, err := fmt.Sscanf(v.Links.Accent, "#%02x%02x%02x", &r, &g, &b); err != nil {
		return err
	}
	on := "#fff"
	if 299*r+587*g+114*b > 150_000 {
		on = "#000"
	}
	style := fmt.Sprintf(`:root:root:root {
  --accent: %[1]s;
  --pico-primary: color-mix(in srgb, var(--accent), var(--pico-color) 40%%);
  --pico-primary-hover: color-mix(in srgb, var(--accent), var(--pico-color) 60%%);
  --pico-primary-background: %[1]s; --pico-primary-border: %[1]s;
  --pico-primary-hover-background: color-mix(in srgb, %[1]s, %[2]s 15%%); --pico-primary-hover-border: %[1]s;
  --pico-primary-inverse: %[2]s;
}
.bar { border-top: 4px solid %[1]s; }
`, v.Links.Accent, on)
	_, _ = io.WriteString(v.w, style) //nolint:gosec // G705: the operator chose the colour, which was read as one
	return nil
}

// framable reports whether a request's answer may be shown in a frame: only what belongs to links.
func (s *site) framable(r *http.Request) bool {
	if len(s.Links.Framers) == 0 {
		return false
	}
	if r.URL.Path == linkPath || strings.HasPrefix(r.URL.Path, linkPath+"/") {
		return true
	}
	found, ok := s.sentSession(r)
	return ok && found.Kind == apikey.SessionLink
}

// letFrame lets the named origins show an answer in a frame.
func (s *site) letFrame(h http.Header) {
	h.Set("Content-Security-Policy", strings.Replace(policy, "frame-ancestors 'none'", "frame-ancestors "+strings.Join(s.Links.Framers, " "), 1))
	h.Del("X-Frame-Options") // it knows no origins
}

// forFrame makes a cookie one that browsers send in a frame on another site too, and there only under that site. Forms
// from other sites are refused as ever.
func (s *site) forFrame(of session, c *http.Cookie) *http.Cookie { //nolint:gosec // G124: it is Secure
	if of.Kind == apikey.SessionLink && len(s.Links.Framers) > 0 && c.Secure {
		c.SameSite, c.Partitioned = http.SameSiteNoneMode, true
	}
	return c
}

// endOfLink shows that a link's session is over.
func (v *visit) endOfLink() {
	if v.r.Header.Get("Hx-Request") != "" {
		v.w.Header().Set("HX-Refresh", "true")
		v.w.WriteHeader(http.StatusNoContent)
		return
	}
	v.showLinkPage(http.StatusOK, linkPage{Ended: true})
}

// endKey revokes the key of a session that has one for itself.
func (s *site) endKey(r *http.Request, of session) error {
	if of.Kind == "" || s.Sessions == nil {
		return nil
	}
	return s.Sessions.End(r.WithContext(context.WithoutCancel(r.Context())), of.Secret)
}
