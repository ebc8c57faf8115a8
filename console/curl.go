package console

import (
	"encoding/json"
	"strings"
	"time"

	"apikeyd/apikey"
)

// curl is a command that calls the API of this server with a body of JSON, for a shell
// that has the caller's key in APIKEYD_KEY.
func (v *visit) curl(path, body string) string {
	return "curl -sS " + quoted(originOf(v.r)+path) + " \\\n" +
		`  -H "x-api-key: $APIKEYD_KEY" -H 'Content-Type: application/json'` + " \\\n" +
		"  -d " + body
}

// curlCreate is the command that makes a first key for an owner, or with "" for that of
// whoever calls.
func (v *visit) curlCreate(owner string) string {
	scopes := []string{} // others may grant only what they have
	if v.may(apikey.ScopeAdmin) {
		scopes = []string{"datasets:read"}
	}
	body, _ := json.Marshal(struct { // of types that always can be
		Name      string   `json:"name"`
		Owner     string   `json:"owner,omitempty"`
		Scopes    []string `json:"scopes"`
		ExpiresAt string   `json:"expires_at"`
	}{"my first key", owner, scopes, v.now.Add(v.lifetime()).UTC().Format(time.RFC3339)})
	return v.curl("/v1/api-keys", quoted(string(body)))
}

// curlVerify is the command that asks about the key in the variable KEY.
func (v *visit) curlVerify(scopes []string) string {
	body := `'{"key": "'"$KEY"'"` // a single-quoted text, but for $KEY
	if len(scopes) > 0 {
		list, _ := json.Marshal(scopes) // strings always can be
		body += `, "scopes": ` + strings.ReplaceAll(string(list), `'`, `'\''`)
	}
	return v.curl("/v1/verify", body+"}'")
}

// quoted makes one word of the shell of a text.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
