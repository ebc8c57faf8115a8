package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSignInFlags(t *testing.T) {
	t.Parallel()
	good := func() signInFlags {
		return signInFlags{
			PublicURL: "https://keys.example.com", ConsoleSignIn: []string{"key", "oidc"}, OIDCIssuer: "https://login.example.com", OIDCClientID: "a",
			OIDCClientSecret: "secret", OIDCGrants: "grants", OIDCClaim: "groups", OIDCSession: time.Hour,
		}
	}
	for fault, change := range map[string]func(*signInFlags){
		"":                               func(*signInFlags) {},
		"needs --public-url":             func(f *signInFlags) { f.PublicURL = "" },
		"--public-url must be a URL":     func(f *signInFlags) { f.PublicURL = "keys.example.com" },
		"needs --oidc-issuer":            func(f *signInFlags) { f.OIDCIssuer = "" },
		"--oidc-issuer must be":          func(f *signInFlags) { f.OIDCIssuer = "http://login.example.com" },
		"needs --oidc-grants-file":       func(f *signInFlags) { f.OIDCGrants = "" },
		"needs --console-sign-in oidc":   func(f *signInFlags) { *f = signInFlags{ConsoleSignIn: []string{"key"}, OIDCIssuer: "https://a"} },
		"--oidc-session must be":         func(f *signInFlags) { f.OIDCSession = time.Minute },
		"--owner-links-accent must be":   func(f *signInFlags) { f.LinksAccent = "red" },
		"--owner-links-return must be":   func(f *signInFlags) { f.LinksReturn = "javascript:alert(1)" },
		"--owner-links-frame-origins mu": func(f *signInFlags) { f.LinksFrames = []string{"https://*.example.com"} },
		"--owner-links-frame-origins m":  func(f *signInFlags) { f.LinksFrames = []string{"https://a.example.com/path"} },
		"--owner-links-frame-origins ":   func(f *signInFlags) { f.LinksFrames = []string{"https://a; script-src *"} },
	} {
		f := good()
		change(&f)
		if err := f.Validate(); (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%v, want %q", err, fault)
		}
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	f := good()
	for _, tt := range []struct{ secret, grants, fault string }{
		{"a secret\n", `[{"value":"*","owner":"o","scopes":["keys:read"]}]`, ""},
		{"\n", `[]`, "--oidc-client-secret-file: the file is empty"},
		{"a", `[]`, "--oidc-grants-file: must hold at least one grant"},
	} {
		f.OIDCClientSecret, f.OIDCGrants = write("secret", tt.secret), write("grants", tt.grants)
		if _, err := f.Provider(); (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%v, want %q", err, tt.fault)
		}
	}
	f.LinksLogo = write("logo", "<html>")
	if _, err := f.linkPages(); err == nil || !strings.Contains(err.Error(), "--owner-links-logo: must be an SVG") {
		t.Errorf("a logo that is no image: %v", err)
	}
}
