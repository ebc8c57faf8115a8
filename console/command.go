package console

import (
	"encoding/json"
	"strings"
	"time"
)

// firstLife is how long the key lives that our example makes.
const firstLife = 90 * day

// createCommand is a command for a shell that makes a key for an owner, or with "" for
// that of whoever calls.
func (v *visit) createCommand(owner string) string {
	life := firstLife
	if v.MaxKeyLifetime > 0 {
		life = min(life, v.MaxKeyLifetime)
	}
	body, _ := json.Marshal(struct { // of types that always can be
		Name      string   `json:"name"`
		Owner     string   `json:"owner,omitempty"`
		Scopes    []string `json:"scopes"`
		ExpiresAt string   `json:"expires_at"`
	}{"my first key", owner, []string{}, v.now.Add(life).UTC().Format(time.RFC3339)})
	return strings.Join([]string{
		"curl " + quoted(v.origin()+"/v1/api-keys"),
		"-H 'x-api-key: YOUR_KEY'",
		"-H 'Content-Type: application/json'",
		"-d " + quoted(string(body)),
	}, " \\\n  ")
}

// origin is where the reader reached this server.
func (v *visit) origin() string {
	if overTLS(v.r) {
		return "https://" + v.r.Host
	}
	return "http://" + v.r.Host
}

// quoted is a text that a shell takes as it is.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
