package sso_test

import (
	"strings"
	"testing"

	"apikeyd/internal/sso"
)

func TestParseGrants(t *testing.T) {
	t.Parallel()
	const good = `{"value":"admins","owner":"admin","scopes":["keys:admin"]}`
	for text, fault := range map[string]string{
		`[` + good + `]`:              "",
		`[` + good + `,` + good + `]`: "",
		``:                            "must hold a list such as",
		`{}`:                          "must hold a list such as",
		`[` + good + `] [`:            "must hold a list such as",
		`[]`:                          "must hold at least one grant",
		`[{"value":"a","group":"b"}]`: "must hold a list such as",
		`[{"value":"","owner":"o","scopes":["keys:read"]}]`:              "entry 1: value must not be empty",
		`[` + good + `,{"value":"a","owner":"","scopes":["keys:read"]}]`: "entry 2: owner",
		`[{"value":"a","owner":"o","scopes":["keys:none"]}]`:             "entry 1: scopes",
		`[{"value":"a","owner":"o","scopes":["keys:write"]}]`:            "must hold keys:read",
	} {
		_, err := sso.ParseGrants([]byte(text))
		if (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v, want %q", text, err, fault)
		}
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://login.example.com": true, "https://login.example.com/realms/a": true, "http://127.0.0.1:9998": true, "http://localhost": true,
		"http://[::1]:1": true, "http://login.example.com": false, "login.example.com": false, "https://a/?b=c": false, "https://a/#b": false,
		"https://u@a": false, "ftp://localhost": false, "": false, "https://": false,
	} {
		if err := sso.CheckIssuer(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
