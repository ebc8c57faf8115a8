package handlers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

// numbered returns n different scopes.
func numbered(n int) []string {
	scopes := make([]string, n)
	for i := range scopes {
		scopes[i] = fmt.Sprintf("scope:%d", i)
	}
	return scopes
}

func TestBadScopes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "target"})
	before := k.everything()
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	k.secrets.add(secret)
	tests := []struct {
		name   string
		scopes []string
		field  string
	}{
		{"65 scopes", numbered(65), "scopes"},
		{"900 scopes", numbered(900), "scopes"},
		{"thousands of scopes", numbered(3000), "body"},
		{"129 characters", []string{strings.Repeat("s", 129)}, "scopes.0"},
		{"empty", []string{""}, "scopes.0"},
		{"empty among others", []string{"a", "", "b"}, "scopes.1"},
		{"twice", []string{"a", "b", "a"}, "scopes"},
		{"space", []string{"a b"}, "scopes.0"},
		{"only a space", []string{" "}, "scopes.0"},
		{"quote", []string{`a"b`}, "scopes.0"},
		{"backslash", []string{`a\b`}, "scopes.0"},
		{"tab", []string{"a\tb"}, "scopes.0"},
		{"line feed", []string{"a\n"}, "scopes.0"},
		{"NUL", []string{"a\x00"}, "scopes.0"},
		{"delete", []string{"a\x7f"}, "scopes.0"},
		{"not ASCII", []string{"ключ:read"}, "scopes.0"},
		{"comma", []string{"a", "b,c"}, "scopes.1"},
		{"comma at the end", []string{"a,"}, "scopes.0"},
		{"only a comma", []string{","}, "scopes.0"},
		{"emoji", []string{"🔑"}, "scopes.0"},
		{"unknown keys: scope", []string{"keys:delete"}, "scopes"},
		{"keys: and nothing", []string{"keys:"}, "scopes"},
		{"keys:* wildcard", []string{"keys:*"}, "scopes"},
		{"keys:admin with more after it", []string{"keys:admin:all"}, "scopes"},
		{"keys:ADMIN", []string{"keys:ADMIN"}, "scopes"},
		{"a secret", []string{secret}, "scopes"},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			k.create(k.admin, fields{"scopes": tt.scopes}).invalid(tt.field)
			k.patch(k.admin, keyPath("target"), fields{"scopes": tt.scopes}).invalid(tt.field)
		})
	}
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
}

func TestGoodScopes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "target"})
	tests := []struct {
		name   string
		scopes []string
	}{
		{"none", []string{}},
		{"64 scopes", numbered(64)},
		{"128 characters", []string{strings.Repeat("s", 128)}},
		{"all of ours", ownScopes},
		{"every character", []string{"!#$%&'()*+-./0123456789:;<=>?@AZ[]^_`az{|}~"}},
		{"order is kept", []string{"b", "a", "c"}},
		{"case tells apart", []string{"a", "A"}},
		{"like ours in capitals", []string{"KEYS:ADMIN"}},
		{"like ours without colon", []string{"keys", "keysadmin", "my:keys:admin"}},
		{"a URL", []string{"https://api.example.com/datasets.read"}},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			created := k.mustCreate(k.admin, fields{"name": tt.name, "scopes": tt.scopes})
			updated := k.patch(k.admin, keyPath("target"), fields{"scopes": tt.scopes}).want(200).key()
			read := k.get(k.admin, keyPath(created.ID)).want(200).key()
			for _, got := range []key{created, updated, read} {
				// Strict: no scopes is an empty list, not null.
				if diff := cmp.Diff(tt.scopes, got.Scopes); diff != "" {
					k.Errorf("scopes differ (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// A key with a scope from when commas were allowed keeps the scope until its scopes are replaced. No request
// can require that scope any more.
func TestStoredScopeWithComma(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	old, secret, err := apikey.Policy{}.NewKey(k.clock.Now(), apikey.Settings{
		Owner: "team", Name: "old", ExpiresAt: k.clock.Now().AddDate(1, 0, 0),
	})
	k.must(err)
	old.Scopes = apikey.Scopes{"a,b", "c"}
	k.must(k.db.CreateKey(k.Context(), operator, old))
	k.secrets.add(secret.Reveal())
	path := keyPath(old.ID.String())

	want := []string{"a,b", "c"}
	for name, answer := range map[string]response{
		"get":    k.get(k.admin, path),
		"rename": k.patch(k.admin, path, fields{"name": "new"}),
		"rotate": k.rotate(k.admin, path, fields{"grace_seconds": 60}),
	} {
		if diff := cmp.Diff(want, answer.want(200).key().Scopes); diff != "" {
			k.Errorf("%s: scopes differ (-want +got):\n%s", name, diff)
		}
	}
	k.forward(secret.Reveal(), "?scope=c").wantHeader("X-Api-Key-Scopes", "a,b c")
	k.forward(secret.Reveal(), "?scope=a,b").invalid("scope")
	k.patch(k.admin, path, fields{"scopes": []string{"a,b"}}).invalid("scopes.0")
	k.patch(k.admin, path, fields{"scopes": []string{"a", "b"}}).want(200)
}

func TestDefaultScopes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	tests := []struct {
		creator []string
		want    []string
	}{
		{[]string{"keys:write"}, []string{"keys:write"}},
		{[]string{"keys:read", "keys:write"}, []string{"keys:read", "keys:write"}},
		{[]string{"keys:write", "datasets:read", "keys:read"}, []string{"keys:read", "keys:write"}},
		{[]string{"keys:write", "keys:verify", "datasets:read"}, []string{"keys:write"}},
		{[]string{"keys:admin"}, []string{"keys:read", "keys:write"}},
		{[]string{"keys:admin", "keys:verify"}, []string{"keys:read", "keys:write"}},
	}
	for _, tt := range tests {
		name := strings.Join(tt.creator, " ")
		k.Run(name, func(k *kit) {
			creator := k.add(name, "creator", tt.creator...)
			child := k.mustCreate(creator, fields{"name": "child"})
			if diff := cmp.Diff(tt.want, child.Scopes); diff != "" {
				k.Errorf("scopes differ (-want +got):\n%s", diff)
			}
			if child.Owner != name {
				k.Errorf("owner %q, want the creator's", child.Owner)
			}
			// A key created with only a name and an expiry can create such keys itself.
			k.mustCreate(child, fields{"name": "grandchild"})
		})
	}
}
