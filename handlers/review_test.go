package handlers_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type (
	review struct {
		Since        time.Time         `json:"since"`
		Scopes       []reviewedScope   `json:"scopes"`
		Networks     []reviewedNetwork `json:"networks"`
		MoreNetworks bool              `json:"more_networks"`
		Proposal     fields            `json:"proposal"`
	}
	reviewedScope struct {
		Scope string `json:"scope"`
		Asked string `json:"last_asked_on"`
	}
	reviewedNetwork struct {
		Network string `json:"network"`
		Used    string `json:"last_used_on"`
	}
)

// review returns a review, which does not depend on what is written.
func (k *kit) review(by key, path string) (r review) {
	k.Helper()
	waiting := k.get(by, path+"/review").want(200).raw
	k.must(k.verifier.Keys.Flush(k.Context()))
	written := k.get(by, path+"/review").want(200).raw
	if string(waiting) != string(written) {
		k.Errorf("before it is written the review is %s, then %s", waiting, written)
	}
	k.must(json.Unmarshal(written, &r))
	return r
}

// A key is used, reviewed, and narrowed by the proposal, after which it can do what it did.
func TestReview(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "ci", "scopes": []string{"a", "b", "keys:read"}, "expires_at": k.in(90 * 24 * time.Hour)})
	path := keyPath(made.ID)
	want := review{
		Since:    k.clock.Now().Truncate(24*time.Hour).AddDate(0, 0, -30),
		Scopes:   []reviewedScope{{"a", ""}, {"b", ""}, {"keys:read", ""}},
		Networks: []reviewedNetwork{},
	}
	if diff := cmp.Diff(want, k.review(k.admin, path)); diff != "" {
		k.Errorf("before any use (-want +got):\n%s", diff)
	}

	k.wantCode(k.askFrom(made.Secret, "192.0.2.7", "a"), "VALID")
	k.wantCode(k.askFrom(made.Secret, "198.51.100.7", "c"), "INSUFFICIENT_SCOPE") // shows nothing
	k.clock.Advance(24 * time.Hour)
	k.wantCode(k.askFrom(made.Secret, "2001:db8:1:2::3", "a"), "VALID")
	k.get(made, keysPath).want(200) // from 127.0.0.1
	today := k.clock.Now().Format(time.DateOnly)
	got := k.review(made, keyPath("ci"))
	want = review{
		Since:  want.Since.AddDate(0, 0, 1),
		Scopes: []reviewedScope{{"a", today}, {"b", ""}, {"keys:read", today}},
		Networks: []reviewedNetwork{
			{"127.0.0.0/24", today}, {"192.0.2.0/24", k.clock.Now().AddDate(0, 0, -1).Format(time.DateOnly)}, {"2001:db8:1::/48", today},
		},
		Proposal: fields{
			"scopes":        []any{"a", "keys:read"},
			"allowed_cidrs": []any{"127.0.0.0/24", "192.0.2.0/24", "2001:db8:1::/48"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		k.Errorf("after uses (-want +got):\n%s", diff)
	}

	k.patch(k.admin, path, got.Proposal).want(200)
	k.wantCode(k.askFrom(made.Secret, "192.0.2.99", "a"), "VALID")
	k.get(made, keysPath).want(200)
	if narrower := k.review(made, path); narrower.Proposal != nil {
		k.Errorf("the narrower key should be narrower: %v", narrower.Proposal)
	}

	// What is older than 30 days no longer counts.
	k.clock.Advance(31 * 24 * time.Hour)
	if late := k.review(k.admin, path); len(late.Networks) != 0 || late.Proposal != nil {
		k.Errorf("after a month: %+v", late)
	}
}

func TestReviewsOfOthers(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	mine, other := k.add("mine", "reader", "keys:read"), k.add("other", "reader", "keys:read")
	k.get(mine, keyPath(other.ID)+"/review").refused(404, "KEY_NOT_FOUND")
	k.get(mine, keyPath("reader")+"/review?owner=other").refused(403, "FORBIDDEN")
	k.get(k.add("mine", "writer", "keys:write"), keyPath(mine.ID)+"/review").refused(403, "INSUFFICIENT_SCOPE")
	k.do(request{method: http.MethodPost, path: keyPath(mine.ID) + "/review", key: mine.Secret}).refused(405, "METHOD_NOT_ALLOWED")
}
