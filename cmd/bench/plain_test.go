package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"apikeyd/apikey"
)

// The plain service decides as apikeyd does, with and without a map.
func TestPlain(t *testing.T) {
	t.Parallel()
	s, err := makeSeed(t.Context(), t.TempDir(), 120)
	must(t, err)
	secrets := s.lines(t)
	for _, remembers := range []bool{false, true} {
		url := s.servePlain(t, remembers).URL + "/v1/verify"
		for range 2 { // the second time the map has it
			for _, tt := range []struct{ secret, scope, code, name string }{
				{secrets[0], "keys:read", "VALID", keyName(0)},
				{secrets[119], "datasets:read", "VALID", keyName(119)},
				{secrets[119], "keys:read", "INSUFFICIENT_SCOPE", keyName(119)},
				{apikey.NewSecret(apikey.DefaultPrefix, apikey.NewID()).Reveal(), "datasets:read", "NOT_FOUND", ""},
			} {
				body := fmt.Sprintf(`{"key":%q,"scopes":[%q]}`, tt.secret, tt.scope)
				response, err := http.Post(url, "application/json", strings.NewReader(body))
				must(t, err)
				var got struct {
					Valid bool     `json:"valid"`
					Code  string   `json:"code"`
					Key   plainKey `json:"key"`
				}
				must(t, json.NewDecoder(response.Body).Decode(&got))
				must(t, response.Body.Close())
				if got.Code != tt.code || got.Key.Name != tt.name || got.Valid != (tt.code == "VALID") {
					t.Errorf("map %t, scope %s: %+v, want %s of %q", remembers, tt.scope, got, tt.code, tt.name)
				}
			}
		}
	}
}
