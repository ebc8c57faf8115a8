package console_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"html"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// upload sends the form of an import.
func (v *visitor) upload(fields map[string]string) reply {
	v.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range fields {
		part, err := w.CreateFormField(name)
		if name == "file" {
			part, err = w.CreateFormFile(name, "keys.csv")
		}
		v.must(err)
		_, err = part.Write([]byte(value))
		v.must(err)
	}
	v.must(w.Close())
	r := httptest.NewRequest(http.MethodPost, v.below("/console/import"), &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return v.do(r)
}

// order returns the encrypted import on the report of a dry run.
func (a reply) order() string {
	a.Helper()
	_, after, found := strings.Cut(a.body, `name="order" value="`)
	order, _, _ := strings.Cut(after, `"`)
	if !found || order == "" {
		a.Errorf("there is nothing to confirm:\n%s", a.body)
	}
	return html.UnescapeString(order)
}

const legacy = "legacy-secret-0001"

// importSample has one row for each outcome, with characters that forms use.
const importSample = "name,owner,expires_at,scopes,metadata,secret,hash\n" +
	`mobile & web,customer-42,2040-01-31T12:00:00Z,datasets:read,"{""a"":""b&c=d""}",` + legacy + ",\n" +
	"no end,customer-42,,,,legacy-secret-0002,\n" +
	"acme's own,acme,2040-01-31T12:00:00Z,,,legacy-secret-0003,\n" +
	"salted,acme,2040-01-31T12:00:00Z,,,,$2b$12$x\n"

// A dry run imports nothing and says what would become of each row; then the same file is imported, once.
func TestImport(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	v.get("/console/keys").want(http.StatusOK, `href="/console/import"`)
	for _, field := range []string{"file", "text"} {
		dry := v.upload(map[string]string{"from": "csv", field: importSample}).
			want(http.StatusOK, "Nothing was imported yet", "Import 1 key", "choose an expiry for such rows", "is salted", "<strong>in conflict</strong>")
		dry.lacks("legacy")
		if k.valid(legacy) {
			t.Fatal("a dry run imported a key")
		}
		if n := strings.Count(dry.body, "<tr"); n != 5 {
			t.Errorf("the report has %d rows", n)
		}
	}
	order := v.upload(map[string]string{"from": "csv", "file": importSample, "expires": "90"}).want(http.StatusOK, "Import 2 keys").order()
	// It is good in its own session only.
	k.adminVisitor().post("/console/import", url.Values{"order": {order}}).want(http.StatusBadRequest, "Choose the file again")
	v.post("/console/import", url.Values{"order": {order + "x"}}).want(http.StatusBadRequest, "Choose the file again")
	done := v.post("/console/import", url.Values{"order": {order}}).want(http.StatusOK, "<h1 tabindex=\"-1\" autofocus>Imported keys</h1>", "Row 1</a>", "Row 2</a>")
	done.lacks("legacy")
	imported := k.get("customer-42", "mobile & web")
	if !k.valid(legacy) || imported.Metadata["a"] != "b&c=d" || !strings.Contains(done.body, "/console/keys/"+imported.ID) {
		t.Errorf("the imported key is %+v", imported)
	}
	if end := k.get("customer-42", "no end").ExpiresAt; time.Until(end).Round(time.Hour) != 90*24*time.Hour {
		t.Errorf("the key without an end ends at %s", end)
	}
	v.post("/console/import", url.Values{"order": {order}}).want(http.StatusOK, "imported before")
	v.upload(map[string]string{"from": "csv", "file": importSample}).want(http.StatusOK, "There is nothing to import")
	for _, a := range k.sent.with("legacy-secret") {
		t.Errorf("a secret is in the answer to %s", a)
	}
	if strings.Contains(k.Log.String(), "legacy-secret") {
		t.Error("a secret is in the log")
	}
}

// A file of another service says what cannot be taken over.
func TestImportFromOthers(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	file := `{"data":[{"name":"mobile","externalId":"user_1","plaintext":"legacy-secret-0004","credits":{"remaining":5}}]}`
	dry := v.upload(map[string]string{"from": "unkey", "file": file, "expires": "365"}).
		want(http.StatusOK, "<code>credits</code> cannot be taken over; it is set in 1 row", "Import 1 key")
	v.post("/console/import", url.Values{"order": {dry.order()}}).want(http.StatusOK, "Row 1</a>")
	if k.get("user_1", "mobile").ID == "" || !k.valid("legacy-secret-0004") {
		t.Error("it was not imported")
	}
}

func TestImportRefusals(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	secret := k.spare().Secret
	for name, tt := range map[string]struct {
		fields map[string]string
		status int
		says   string
	}{
		"nothing":     {map[string]string{"from": "csv"}, 400, "Choose a file, or paste its text."},
		"both":        {map[string]string{"from": "csv", "file": "name\n", "text": "name\n"}, 400, "not both"},
		"no profile":  {map[string]string{"from": "x", "file": "name\n"}, 400, "Choose the file&#39;s format."},
		"no CSV":      {map[string]string{"from": "csv", "file": "name,hash\n\"" + legacy}, 400, "is not valid CSV"},
		"no JSON":     {map[string]string{"from": "csv", "file": `{"name":"` + legacy}, 400, "Nothing was imported."},
		"large":       {map[string]string{"from": "csv", "file": strings.Repeat("x", 65<<10)}, 400, "up to 64 KiB"},
		"too large":   {map[string]string{"from": "csv", "file": strings.Repeat("x", 200<<10)}, 413, "up to 64 KiB"},
		"many rows":   {map[string]string{"from": "csv", "file": "name\n" + strings.Repeat("x\n", 1001)}, 400, "1,000 rows"},
		"our secrets": {map[string]string{"from": "csv", "owner": secret, "text": "name,expires_at,secret\nx,2040-01-31T12:00:00Z," + secret}, 200, "invalid"},
	} {
		a := v.upload(tt.fields).want(tt.status, tt.says)
		if strings.Contains(a.body, legacy) || strings.Contains(a.body, secret) {
			t.Errorf("%s: the page shows a secret", name)
		}
	}
	v.post("/console/import", url.Values{"from": {"csv"}, "text": {"name\n"}}).want(http.StatusBadRequest, "Choose a file")

	others := k.visitor()
	others.signIn(k.owner)
	others.get("/console/keys").lacks("/console/import")
	others.upload(map[string]string{"from": "csv", "file": importSample}).want(http.StatusForbidden, "Your key may not do that")
	nobody := k.visitor().upload(map[string]string{"from": "csv", "file": importSample}).want(http.StatusOK, "You are signed out.")
	nobody.lacks("legacy")
}

// A report stays small, however many rows there are.
func TestImportReportIsBounded(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	var file strings.Builder
	file.WriteString("name,owner,expires_at,scheme,hash\n")
	const rows = 450
	for i := range rows {
		fmt.Fprintf(&file, "key %d,customer-%d,2040-01-31T12:00:00Z,sha256,%x\n", i, i%9, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	v := k.adminVisitor()
	dry := v.upload(map[string]string{"from": "csv", "file": file.String()}).want(http.StatusOK, "Import 450 keys", "And 250 more rows.")
	t.Logf("a file of %d bytes makes a report of %d", file.Len(), len(dry.body))
	if len(dry.body) > maxWeight {
		t.Errorf("the report has %d bytes", len(dry.body))
	}
	v.post("/console/import", url.Values{"order": {dry.order()}}).want(http.StatusOK, "<dd>450</dd>")
}
