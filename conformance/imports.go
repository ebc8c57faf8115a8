package conformance

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

func importChecks() []check {
	const group = "imports"
	return []check{
		{group, "verified", "secrets of another service verify as soon as they or their hashes are imported", needAdminKey | needUnlimitedKey, verifiedImports},
		{group, "repeated", "a secret is imported once, and each row is answered by itself", needAdminKey, repeatedImports},
		{group, "dry-run", "a dry run imports nothing", needAdminKey, dryRunImports},
		{group, "rotated", "a rotation ends an imported secret and gives its key our form", needAdminKey | needUnlimitedKey, rotatedImports},
	}
}

// foreignSecret makes a secret that another service could have issued.
func (s *session) foreignSecret() string {
	secret := "legacy_" + rand.Text()
	s.keepSecret(secret)
	return secret
}

// foreignRow returns a row of an import with a secret.
func (s *session) foreignRow(secret string) fields {
	return s.keyBody().with("owner", s.run).with("secret", secret)
}

// importRows imports keys, which will be revoked at the end, and returns what became of each row.
func (s *session) importRows(body fields, why string) []map[string]any {
	a := s.want(http.StatusOK, request{operation: "importApiKeys", body: body.json(), why: why})
	s.rememberImported(a)
	list, _ := a.body["rows"].([]any)
	rows := make([]map[string]any, len(list))
	for i := range list {
		if rows[i] = object(list[i]); rows[i]["row"] != float64(i) {
			s.fail("%s: row %d is about %v", a.about, i, rows[i]["row"])
		}
	}
	if want := len(body["keys"].([]fields)); len(rows) != want {
		s.fail("%s: %d rows are answered, want %d", a.about, len(rows), want)
		return make([]map[string]any, want)
	}
	return rows
}

func (s *session) rememberImported(a answer) {
	list, _ := a.body["rows"].([]any)
	for _, row := range list {
		if id := text(object(row)["id"]); id != "" {
			s.made = append(s.made, created{id: id, at: s.clock.Now()})
		}
	}
}

func (s *session) wantOutcome(row map[string]any, outcome, field, why string) {
	if row["outcome"] != outcome || field != "" && row["field"] != field {
		s.fail("%s: the outcome is %v of %v, want %s %s", why, row["outcome"], row["field"], outcome, field)
	}
}

func verifiedImports(s *session) {
	plain, short, long := s.foreignSecret(), s.foreignSecret(), s.foreignSecret()
	s.verify("NOT_FOUND", plain, "before its import")
	digest256, digest512 := sha256.Sum256([]byte(short)), sha512.Sum512([]byte(long))
	hashed := func(scheme, hash string) fields {
		return s.keyBody().with("owner", s.run).with("scheme", scheme).with("hash", hash)
	}
	rows := s.importRows(fields{"keys": []fields{
		s.foreignRow(plain).with("scopes", []string{"datasets:read"}), hashed("sha256", fmt.Sprintf("%x", digest256)),
		hashed("sha512", base64.RawURLEncoding.EncodeToString(digest512[:])),
	}}, "a secret and two hashes")
	for i, secret := range []string{plain, short, long} {
		s.wantOutcome(rows[i], "created", "", "an import")
		a := s.verify("VALID", secret, "after its import")
		if key := object(a.body["key"]); key["id"] != rows[i]["id"] || key["foreign_secret"] != true || key["owner"] != s.run {
			s.fail("%s: the key is %v", a.about, key)
		}
	}
	s.verify("VALID", plain, "asking for the imported scope", "datasets:read")
	s.rejected(text(rows[0]["id"]), plain, "calling the service itself with an imported secret")
}

func repeatedImports(s *session) {
	taken := s.create(s.keyBody().with("owner", s.run))
	secret := s.foreignSecret()
	body := fields{"keys": []fields{
		s.foreignRow(s.foreignSecret()).with("name", taken.name), s.foreignRow(secret),
		s.foreignRow(s.foreignSecret()).with("expires_at", "2020-01-31T12:00:00Z"),
	}}
	first := s.importRows(body, "a taken name, a new key and one of the past")
	again := s.importRows(body, "the same again")
	for i, want := range []struct{ first, again, field string }{
		{"conflict", "conflict", "name"}, {"created", "exists", ""}, {"invalid", "invalid", "expires_at"},
	} {
		s.wantOutcome(first[i], want.first, want.field, "the first import")
		s.wantOutcome(again[i], want.again, want.field, "the second import")
	}
	if first[1]["id"] != again[1]["id"] {
		s.fail("a repeated import names the key %v, and the first one %v", again[1]["id"], first[1]["id"])
	}
	s.refuses("keys.1.scheme", request{operation: "importApiKeys", why: "an unknown scheme", body: fields{"keys": []fields{
		s.foreignRow(s.foreignSecret()), s.keyBody().with("scheme", "bcrypt").with("hash", strings.Repeat("00", 32)),
	}}.json()})
}

func dryRunImports(s *session) {
	row := s.foreignRow(s.foreignSecret())
	body := fields{"keys": []fields{row}, "dry_run": true}
	for range 2 {
		got := s.importRows(body, "a dry run")[0]
		s.wantOutcome(got, "created", "", "a dry run")
		if got["id"] != nil {
			s.fail("a dry run names a key: %v", got["id"])
		}
	}
	s.verify("NOT_FOUND", row["secret"].(string), "after a dry run")
}

func rotatedImports(s *session) {
	secret := s.foreignSecret()
	row := s.importRows(fields{"keys": []fields{s.foreignRow(secret)}}, "a key to rotate")[0]
	s.verify("VALID", secret, "before the rotation")
	key := s.rotate(created{id: text(row["id"])}, fields{"grace_seconds": 0}.json())
	s.verify("VALID", key.secret, "the new secret")
	s.verify("NOT_FOUND", secret, "after the rotation")
	if key.body["foreign_secret"] != nil {
		s.fail("a rotated key still has a foreign secret")
	}
	s.wantOutcome(s.importRows(fields{"keys": []fields{s.foreignRow(secret)}}, "importing it again")[0], "exists", "", "after the rotation")
	s.verify("NOT_FOUND", secret, "after another import")
}
