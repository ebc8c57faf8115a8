package handlers_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	servertest "apikeyd/internal/testkit/server"
	"apikeyd/verify"
)

const (
	importsPath = "/v1/imports"
	testPepper  = servertest.Pepper
)

var foreignSecrets atomic.Int64

// foreignText returns another foreign secret.
func foreignText() string { return fmt.Sprintf("legacy_live_%016d", foreignSecrets.Add(1)) }

// foreignRow returns a row with a secret, and with these fields instead.
func foreignRow(f fields) fields {
	row := fields{"name": "imported", "expires_at": "2030-01-31T12:00:00Z"}
	for name, value := range f {
		row[name] = value
	}
	if f["secret"] == nil && f["hash"] == nil {
		row["secret"] = foreignText()
	}
	return row
}

func (k *kit) importKeys(by key, f fields) response {
	k.Helper()
	return k.do(request{method: "POST", path: importsPath, key: by.Secret, body: f.json()})
}

// importedRow is what became of a row.
type importedRow struct {
	Row     int    `json:"row"`
	Outcome string `json:"outcome"`
	ID      string `json:"id"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

func rowsOf(r response) []importedRow {
	return decode[struct{ Rows []importedRow }](r.want(200)).Rows
}

// importOne imports a key with these fields.
func (k *kit) importOne(f fields) importedRow {
	k.Helper()
	row := rowsOf(k.importKeys(k.admin, fields{"keys": []fields{foreignRow(f)}}))[0]
	if row.Outcome != "created" {
		k.Fatalf("the row was not imported: %+v", row)
	}
	return row
}

func digestOf(scheme, secret string) string {
	switch scheme {
	case "sha512":
		digest := sha512.Sum512([]byte(secret))
		return base64.StdEncoding.EncodeToString(digest[:])
	case "hmac-sha256":
		mac := hmac.New(sha256.New, []byte(testPepper))
		_, _ = mac.Write([]byte(secret))
		return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	digest := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(digest[:])
}

// A report has a line for each row. A repeated import changes nothing.
func TestImport(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "taken", "owner": "acme"})
	secret, again := foreignText(), foreignText()
	rows := []fields{
		foreignRow(fields{"name": "clear", "owner": "acme", "secret": secret, "scopes": []string{"a"}}),
		foreignRow(fields{"name": "taken", "owner": "acme"}),
		foreignRow(fields{"name": "past", "expires_at": "2020-01-31T12:00:00Z"}),
		foreignRow(fields{"name": "twice", "secret": secret}),
		foreignRow(fields{"name": "hash", "scheme": "sha256", "hash": digestOf("sha256", again)}),
		foreignRow(fields{"name": "hash", "owner": "acme", "scheme": "sha512", "hash": digestOf("sha512", again)}),
		foreignRow(fields{"name": "clear", "owner": "acme"}),
		{"name": "neither", "expires_at": "2030-01-31T12:00:00Z"},
		foreignRow(fields{"name": "both", "secret": again, "scheme": "sha256", "hash": digestOf("sha256", again)}),
		foreignRow(fields{"name": "no scheme", "hash": digestOf("sha256", again)}),
		foreignRow(fields{"name": "cut", "scheme": "sha512", "hash": digestOf("sha256", again)}),
		foreignRow(fields{"name": "ours", "secret": k.admin.Secret}),
	}
	want := func(created string) []importedRow {
		return []importedRow{
			{Row: 0, Outcome: created}, {Row: 1, Outcome: "conflict", Field: "name"}, {Row: 2, Outcome: "invalid", Field: "expires_at"},
			{Row: 3, Outcome: "exists"}, {Row: 4, Outcome: created}, {Row: 5, Outcome: created},
			{Row: 6, Outcome: "conflict", Field: "name"}, {Row: 7, Outcome: "invalid", Field: "secret"},
			{Row: 8, Outcome: "invalid", Field: "secret"}, {Row: 9, Outcome: "invalid", Field: "scheme"},
			{Row: 10, Outcome: "invalid", Field: "hash"}, {Row: 11, Outcome: "invalid", Field: "secret"},
		}
	}
	run := func(what string, dryRun bool, created string) []importedRow {
		answer := k.importKeys(k.admin, fields{"keys": rows, "dry_run": dryRun})
		got := rowsOf(answer)
		for _, hidden := range []string{secret, again, digestOf("sha256", secret), randomPart(k.admin.Secret)} {
			if strings.Contains(string(answer.raw), hidden) {
				t.Errorf("%s: the report holds a secret: %s", what, answer.raw)
			}
		}
		plain := make([]importedRow, len(got))
		for i, row := range got {
			if (row.Message == "") != (row.Field == "") {
				t.Errorf("%s: row %d says %q", what, i, row.Message)
			}
			row.ID, row.Message = "", ""
			plain[i] = row
		}
		if diff := cmp.Diff(want(created), plain); diff != "" {
			t.Errorf("%s: the report differs (-want +got):\n%s", what, diff)
		}
		return got
	}
	run("dry run", true, "created")
	if all := k.everything(); len(all) != 2 {
		t.Fatalf("after a dry run there are %d keys", len(all))
	}
	k.wantCode(k.ask(k.admin, secret), notFound)
	first := run("import", false, "created")
	second := run("again", false, "exists")
	run("dry run again", true, "exists")
	if first[0].ID != second[0].ID || first[3].ID != first[0].ID || len(k.everything()) != 5 {
		t.Errorf("the first report is %+v, and the second %+v", first, second)
	}
	k.wantCode(k.ask(k.admin, secret, "a"), valid)
	k.wantCode(k.ask(k.admin, again), valid)
	if log := k.log.String(); strings.Contains(log, secret) || strings.Contains(log, again) {
		t.Errorf("the log holds a secret:\n%s", log)
	}
	made := decode[map[string]any](k.get(k.admin, keyPath(first[0].ID)).want(200))
	if made["foreign_secret"] != true || made["owner"] != "acme" || fmt.Sprint(made["scopes"]) != "[a]" {
		t.Errorf("the key is %v", made)
	}
	events := decode[struct{ Data []map[string]any }](k.get(k.admin, auditPath+"?key="+first[0].ID).want(200)).Data
	if len(events) != 1 || events[0]["action"] != "create" || events[0]["actor"] != k.admin.ID ||
		fmt.Sprint(events[0]["changes"].(map[string]any)["imported"]) != "map[to:sha256]" {
		t.Errorf("the audit log has %v", events)
	}
	state := decode[struct {
		Consistent bool
		Key        map[string]any
	}](k.pastOf(k.admin, keyPath(first[0].ID), k.clock.Now()).want(200))
	if !state.Consistent || state.Key["name"] != "clear" {
		t.Errorf("the key's history is %+v", state)
	}
}

// A call takes as many rows as the contract says, with everything that a row can have.
func TestImportFull(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	rows := make([]fields, 100)
	for i := range rows {
		rows[i] = foreignRow(fields{
			"name": fmt.Sprint("n", i), "owner": "o", "scopes": []string{"a", "b", "c", "d"}, "metadata": fields{"a": "1", "b": "2", "c": "3", "d": "4"},
			"rate_limit": fields{"limit": 1, "window_seconds": 60}, "quota": fields{"limit": 1, "period": "day"},
			"allowed_cidrs": []string{"10.0.0.0/8"}, "enabled": true,
		})
	}
	for i, row := range rowsOf(k.importKeys(k.admin, fields{"keys": rows})) {
		if row.Outcome != "created" {
			t.Errorf("row %d: %+v", i, row)
		}
	}
}

const (
	notFound = string(verify.NotFound)
	valid    = string(verify.Valid)
)

// A call that does not match the contract imports nothing, and says which rows are at fault.
func TestImportRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for name, tt := range map[string]struct {
		row   fields
		field string
	}{
		"no name":            {fields{"name": nil}, "keys.1.name"},
		"a short secret":     {fields{"secret": "0123456789"}, "keys.1.secret"},
		"a secret of words":  {fields{"secret": "correct horse battery"}, "keys.1.secret"},
		"an unknown scheme":  {fields{"scheme": "bcrypt", "hash": digestOf("sha256", "x")}, "keys.1.scheme"},
		"bcrypt":             {fields{"scheme": "sha256", "hash": "$2b$12$short"}, "keys.1.hash"},
		"a time":             {fields{"expires_at": "tomorrow"}, "keys.1.expires_at"},
		"an unknown field":   {fields{"budget": 5}, "keys.1.budget"},
		"a scope with comma": {fields{"scopes": []string{"a,b"}}, "keys.1.scopes.0"},
	} {
		k.Run(name, func(k *kit) {
			k.importKeys(k.admin, fields{"keys": []fields{foreignRow(nil), foreignRow(tt.row)}}).invalid(tt.field)
		})
	}
	k.importKeys(k.admin, fields{"keys": []fields{}}).invalid("keys")
	many := make([]fields, 101)
	for i := range many {
		many[i] = fields{}
	}
	k.importKeys(k.admin, fields{"keys": many}).invalid("keys")
	writer := k.add("team", "writer", "keys:read", "keys:write", "keys:verify")
	k.importKeys(writer, fields{"keys": []fields{foreignRow(nil)}}).want(403)
	if all := k.everything(); len(all) != 2 {
		t.Errorf("there are %d keys, want 2", len(all))
	}
}

// Verify, introspection and forward-auth accept a foreign secret, and our own API does not, whatever its scopes. A
// rotation gives its key our form.
func TestForeignSecretUse(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secret := foreignText()
	made := k.importOne(fields{"name": "ci", "owner": "acme", "secret": secret, "scopes": []string{"keys:read", "a"}})
	foreign := key{Secret: secret}
	k.wantCode(k.ask(k.admin, secret, "a"), valid)
	k.forward(secret, "?scope=a").want(200)
	if !strings.Contains(string(k.introspect(k.admin, secret).want(200).raw), `"active":true`) {
		t.Error("introspection refuses it")
	}
	k.get(foreign, keysPath).refused(401, "CREDENTIAL_INVALID")
	if list := k.get(k.admin, keysPath+"?foreign=true").want(200).list(); len(list.Data) != 1 || list.Data[0].ID != made.ID {
		t.Errorf("the filter finds %+v", list.Data)
	}
	rotated := k.rotate(k.admin, keyPath(made.ID), fields{"grace_seconds": 60}).want(200).key()
	k.get(key{Secret: rotated.Secret}, keysPath).want(200)
	k.wantCode(k.ask(k.admin, secret), valid)
	k.clock.Advance(time.Minute)
	k.wantCode(k.ask(k.admin, secret), notFound)
	k.forward(secret, "").want(401)
	if list := k.get(k.admin, keysPath+"?foreign=true").want(200).list(); len(list.Data) != 0 {
		t.Errorf("after the grace the filter finds %+v", list.Data)
	}
}

// A report of a foreign secret revokes its key.
func TestForeignSecretLeaked(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secret := foreignText()
	k.importOne(fields{"secret": secret})
	k.wantCode(k.ask(k.admin, secret), valid)
	k.report(secret).want(202)
	k.wantCode(k.ask(k.admin, secret), string(verify.Revoked))
	row := rowsOf(k.importKeys(k.admin, fields{"keys": []fields{foreignRow(fields{"secret": secret})}}))[0]
	if row.Outcome != "exists" {
		t.Errorf("another import says %+v", row)
	}
	k.wantCode(k.ask(k.admin, secret), string(verify.Revoked))
}

// A dry run says which rows are beyond their owner's bound, as many as an import then refuses.
func TestDryRunKnowsTheBound(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "first", "owner": "acme"})
	k.patch(k.admin, ownerPath("acme"), fields{"max_keys": 3}).want(200)
	rows := []fields{foreignRow(fields{"name": "first", "owner": "acme", "secret": "a-foreign-secret-0"})} // takes no room
	for i := range 4 {
		rows = append(rows, foreignRow(fields{"name": fmt.Sprint("acme ", i), "owner": "acme", "secret": fmt.Sprint("a-foreign-secret-a", i)}),
			foreignRow(fields{"name": fmt.Sprint("free ", i), "owner": "free", "secret": fmt.Sprint("a-foreign-secret-f", i)}))
	}
	var dry []string
	for _, row := range rowsOf(k.importKeys(k.admin, fields{"keys": rows, "dry_run": true})) {
		dry = append(dry, row.Outcome+row.Field)
	}
	want := []string{"conflictname", "created", "created", "created", "created", "conflictowner", "created", "conflictowner", "created"}
	if diff := cmp.Diff(want, dry); diff != "" {
		t.Errorf("the dry run differs (-want +got):\n%s", diff)
	}
	made := 0
	for _, row := range rowsOf(k.importKeys(k.admin, fields{"keys": rows})) {
		if row.Outcome == "created" {
			made++
		}
	}
	if made != 6 {
		t.Errorf("the import created %d keys, want 6", made)
	}
}
