package console_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/client"
	"apikeyd/console"
)

// history creates events of all kinds, n of them creations.
func (k *kit) history(n int) {
	k.Helper()
	ctx, api := k.Context(), k.as(k.admin).ForOwner("=1+1")
	var created client.CreatedKey
	for i := range n {
		var err error
		created, err = api.Create(ctx, client.NewKey{
			Name: fmt.Sprintf("<key> & \"%d\"", i), ExpiresAt: time.Now().Add(time.Hour), Scopes: &[]string{},
		})
		k.must(err)
	}
	name, scopes, limit := "-named", []string{"a:b"}, client.RateLimit{Limit: 5, Window: time.Minute}
	_, err := api.Update(ctx, created.ID, client.Change{
		Name: &name, Scopes: &scopes, Metadata: &map[string]string{"plan": "pro"}, RateLimit: &limit})
	k.must(err)
	_, err = api.Rotate(ctx, created.ID, time.Hour)
	k.must(err)
	_, err = api.Revoke(ctx, created.ID)
	k.must(err)
}

func TestExport(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	k.history(250) // three pages of the API
	c := k.signedIn(k.admin)
	// get returns the body of an export.
	get := func(query, mediaType, suffix string) string {
		t.Helper()
		answer, err := c.Get(k.URL + "/console/audit/export" + query)
		k.must(err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		k.must(err)
		disposition := answer.Header.Get("Content-Disposition")
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != mediaType ||
			!strings.HasPrefix(disposition, `attachment; filename="audit-2`) || !strings.HasSuffix(disposition, "Z."+suffix+`"`) {
			t.Fatalf("%s: %s, header %v", query, answer.Status, answer.Header)
		}
		return string(body)
	}
	for _, query := range []string{"", "?owner=%3D1%2B1", "?action=revoke", "?since=2099-01-01T00:00"} {
		var lines []string
		scanner := bufio.NewScanner(strings.NewReader(get(query, "application/x-ndjson", "jsonl")))
		for scanner.Scan() {
			lines = append(lines, normal(k, scanner.Bytes()))
		}
		if want := k.listed(query); !slices.Equal(lines, want) {
			t.Errorf("%q: %d events, and the API lists %d; the first are\n%.1s\n%.1s", query, len(lines), len(want), lines, want)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(get("?format=csv", "text/csv; charset=utf-8; header=present", "csv"))).ReadAll()
	k.must(err)
	events := k.listed("")
	if len(rows) != len(events)+1 || strings.Join(rows[0][:7], " ") != "id at action key_id owner name changes" {
		t.Fatalf("%d rows for %d events, below %q", len(rows), len(events), rows[0])
	}
	for i, row := range rows[1:] {
		var e struct {
			ID, Owner, Name string
			Changes         json.RawMessage
		}
		k.must(json.Unmarshal([]byte(events[i]), &e))
		unquoted := func(cell string) string {
			if len(cell) > 1 && cell[0] == '\'' && strings.ContainsRune("=+-@", rune(cell[1])) {
				return cell[1:]
			}
			return cell
		}
		if row[0] != e.ID || unquoted(row[4]) != e.Owner || unquoted(row[5]) != e.Name || normal(k, []byte(row[6])) != string(e.Changes) {
			t.Errorf("row %d is %q, and the event is %s", i, row, events[i])
		}
		if strings.IndexAny(row[4]+row[5], "=+-@") == 0 {
			t.Errorf("a spreadsheet takes a cell of %q for a formula", row)
		}
	}
	for path, want := range map[string]int{"?format=xml": http.StatusNotFound, "?since=never": http.StatusBadRequest, "?actor=x": http.StatusBadRequest} {
		answer, err := c.Get(k.URL + "/console/audit/export" + path)
		k.must(err)
		k.must(answer.Body.Close())
		if answer.StatusCode != want {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
	answer, err := k.signedIn(k.owner).Get(k.URL + "/console/audit/export")
	k.must(err)
	k.must(answer.Body.Close())
	if answer.StatusCode != http.StatusForbidden || answer.Header.Get("Content-Disposition") != "" {
		t.Errorf("an ordinary owner gets %s", answer.Status)
	}
}

// listed returns the events as the API lists them, as JSON.
func (k *kit) listed(query string) (events []string) {
	k.Helper()
	query = strings.Replace(query, "T00:00", "T00:00:00Z", 1)
	before := ""
	for {
		address := k.URL + "/v1/audit-events?items_per_page=100&" + strings.TrimPrefix(query, "?") + before
		request, err := http.NewRequestWithContext(k.Context(), http.MethodGet, strings.Replace(address, "&&", "&", 1), nil)
		k.must(err)
		request.URL.RawQuery = strings.TrimSuffix(request.URL.RawQuery, "&")
		request.Header.Set("X-Api-Key", k.admin.Secret)
		answer, err := k.Client.Do(request)
		k.must(err)
		var page struct {
			Data []json.RawMessage
			Next string
		}
		err = json.NewDecoder(answer.Body).Decode(&page)
		k.must(answer.Body.Close())
		k.must(err)
		for _, e := range page.Data {
			events = append(events, normal(k, e))
		}
		if page.Next == "" {
			return events
		}
		before = "&before=" + page.Next
	}
}

// normal sorts the names in JSON.
func normal(k *kit, text []byte) string {
	k.Helper()
	var value any
	k.must(json.Unmarshal(text, &value))
	out, err := json.Marshal(value)
	k.must(err)
	return string(out)
}

// TestExportBreaks: an export that fails in the middle cuts the connection.
func TestExportBreaks(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{console: func(c *console.Config) {
		api := c.API
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/audit-events" && r.URL.Query().Has("before") { // the second page
				http.Error(w, "", http.StatusServiceUnavailable)
				return
			}
			api.ServeHTTP(w, r)
		})
	}})
	k.history(150)
	answer, err := k.signedIn(k.admin).Get(k.URL + "/console/audit/export")
	k.must(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if n := strings.Count(string(body), "\n"); answer.StatusCode != http.StatusOK || err == nil {
		t.Errorf("a partial export of %d events ends without an error: %s, %v", n, answer.Status, err)
	}
	if !strings.Contains(k.Log.String(), "an export of the audit log was cut off") {
		t.Error("the log does not mention it")
	}
}

// TestExportOutlastsTheWriteTimeout: an export may take longer than the server's write timeout.
func TestExportOutlastsTheWriteTimeout(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	k := newKit(t, options{
		console: func(c *console.Config) {
			api := c.API
			c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/audit-events" && r.URL.Query().Has("before") {
					time.Sleep(2 * limit)
				}
				api.ServeHTTP(w, r)
			})
		},
		handler: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/console/audit/export" {
					if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)); err != nil {
						t.Error(err)
					}
				}
				next.ServeHTTP(w, r)
			})
		},
	})
	k.history(150)
	answer, err := k.signedIn(k.admin).Get(k.URL + "/console/audit/export")
	k.must(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if n := strings.Count(string(body), "\n"); n != 155 || err != nil {
		t.Errorf("%d events, %v", n, err)
	}
}
