package console

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// curl returns a shell command that calls this server's API with a JSON body. The shell has the
// caller's key in APIKEYD_KEY.
func (v *visit) curl(path, body string) string {
	return "curl -sS " + keyfield.Quoted(serverURL(v.r)+path) + " \\\n" +
		`  -H "x-api-key: $APIKEYD_KEY" -H 'Content-Type: application/json'` + " \\\n" +
		"  -d " + body
}

// curlCreate returns a command that creates a first key for an owner, or with "" for the caller's.
func (v *visit) curlCreate(owner string) string {
	scopes := []string{} // without keys:admin the reader may lack any scope
	if v.may(apikey.ScopeAdmin) {
		scopes = []string{"datasets:read"}
	}
	body, _ := json.Marshal(struct { // cannot fail with these types
		Name      string   `json:"name"`
		Owner     string   `json:"owner,omitempty"`
		Scopes    []string `json:"scopes"`
		ExpiresAt string   `json:"expires_at"`
	}{"my first key", owner, scopes, v.now.Add(v.lifetime()).UTC().Format(time.RFC3339)})
	return v.curl("/v1/api-keys", keyfield.Quoted(string(body)))
}

// curlVerify returns a command that makes the same call with the key in the variable KEY.
func (v *visit) curlVerify(call client.Call) string {
	body := `'{"key": "'"$KEY"'"` // single-quoted except for $KEY
	if len(call.Scopes) > 0 {
		list, _ := json.Marshal(call.Scopes) // cannot fail with strings
		body += `, "scopes": ` + strings.ReplaceAll(string(list), `'`, `'\''`)
	}
	if call.Cost != nil {
		body += `, "cost": ` + strconv.Itoa(*call.Cost)
	}
	if call.ClientAddress != "" {
		address, _ := json.Marshal(call.ClientAddress) // cannot fail with a string
		body += `, "client_address": ` + strings.ReplaceAll(string(address), `'`, `'\''`)
	}
	return v.curl("/v1/verify", body+"}'")
}
