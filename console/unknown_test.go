package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// silences are ways to make a change without confirming it.
var silences = map[string]http.HandlerFunc{
	"outcome unknown": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":503,"code":"OUTCOME_UNKNOWN","message":"the connection to the database broke"}`))
	},
	"no answer in time": nil, // the request's context ends
}

// If the outcome of a change is unknown, the page does not say that nothing was changed, and sending
// the form again does no harm.
func TestUnknownOutcomes(t *testing.T) {
	t.Parallel()
	for name, silence := range silences {
		for change, test := range map[string]func(*testing.T, *silent){
			"create": silentCreate, "edit": silentEdit, "rotate": silentRotate, "revoke": silentRevoke, "bulk": silentBulk,
		} {
			t.Run(name+"/"+change, func(t *testing.T) {
				t.Parallel()
				k, api := newSwitched(t)
				v := k.visitor()
				v.signIn(k.owner)
				s := &silent{visitor: v, switched: api, answer: silence}
				api.to(s.change)
				test(t, s)
			})
		}
	}
}

// silent is a visitor whose API makes changes without confirming them.
type silent struct {
	*visitor
	*switched
	answer http.HandlerFunc
	end    context.CancelFunc // of the request's time
}

func (s *silent) post(path string, form url.Values) reply {
	s.Helper()
	ctx, end := context.WithCancel(s.Context())
	defer end()
	s.end = end
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(r)
}

func (s *silent) change(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		s.api.ServeHTTP(w, r)
		return
	}
	s.api.ServeHTTP(httptest.NewRecorder(), r)
	if s.answer == nil {
		s.end()
		return
	}
	s.answer(w, r)
}

// unsure sends a form and checks for a page that says that the outcome is unknown.
func (s *silent) unsure(path string, form url.Values) reply {
	s.Helper()
	a := s.post(path, form).want(http.StatusServiceUnavailable)
	unknown := strings.Contains(a.body, "It is not known whether this was done") || strings.Contains(a.body, "That took too long")
	if !unknown || strings.Contains(a.body, "Nothing was") {
		s.Errorf("%s: the page says\n%s", a.request, a.body)
	}
	s.back()
	return a
}

// again sends the form of a page again, unchanged.
func (a reply) again() reply {
	a.Helper()
	form, path := url.Values{}, ""
	for n := range parse(a.T, a.body).Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && attr(n, "action") != "/console/sign-out" && attr(n, "action") != "/console/theme" && attr(n, "method") == "post" {
			path = attr(n, "action")
		}
		if n.Type == html.ElementNode && n.Data == "input" && attr(n, "type") == "hidden" {
			form.Add(attr(n, "name"), attr(n, "value"))
		}
	}
	return a.post(path, form)
}

func silentCreate(t *testing.T, s *silent) {
	form := url.Values{"name": {"quiet"}, "expires": {"90"}, "metadata-name": {"team"}, "metadata-text": {"blue"}}
	a := s.unsure("/console/keys/new", form)
	a.want(http.StatusServiceUnavailable, `value="quiet"`, `value="team"`, "blue", "What you typed is kept.")
	s.post("/console/keys/new", form).want(http.StatusConflict, "Another key of this owner has this name")
	if made := s.kit.get("acme", "quiet"); made.Metadata["team"] != "blue" {
		t.Errorf("the key is %+v", made)
	}
}

func silentEdit(t *testing.T, s *silent) {
	path, form := pathOf(s.owner.ID), url.Values{"name": {"quieter"}, "expires": {"keep"}, "scope": {"keys:read", "keys:write"}, "scopes": {"datasets:read"}, "step": {"save"}}
	s.unsure(path+"/edit", form).want(http.StatusServiceUnavailable, `value="quieter"`, "What you typed is kept.")
	s.post(path+"/edit", form).goes(path)
	if k := s.kit.get("acme", "quieter"); k.ID != s.owner.ID.String() {
		t.Errorf("the key is %+v", k)
	}
}

func silentRotate(t *testing.T, s *silent) {
	spare := s.spare()
	a := s.unsure(pathOf(spare.ID)+"/rotate", url.Values{"grace": {"86400"}})
	a.again().want(http.StatusConflict, "Nothing was rotated: somebody rotated this key in the meantime", "That secret stops working now")
	if !s.valid(spare.Secret) {
		t.Error("sending the form again ended the secret in use")
	}
	// A reader of that warning may continue.
	s.get(pathOf(spare.ID)+"/rotate").again().want(http.StatusBadRequest, "Choose how long")
}

func silentRevoke(t *testing.T, s *silent) {
	spare := s.spare()
	s.unsure(pathOf(spare.ID)+"/revoke", nil)
	s.post(pathOf(spare.ID)+"/revoke", nil).goes(pathOf(spare.ID))
	s.get(pathOf(spare.ID)).want(http.StatusOK, "was already revoked; nothing was changed.")
	if s.valid(spare.Secret) {
		t.Error("the key was not revoked")
	}
}

func silentBulk(t *testing.T, s *silent) {
	ids := []string{s.spare().ID.String(), s.spare().ID.String(), s.spare().ID.String()}
	s.to(func(w http.ResponseWriter, r *http.Request) { // the newest is the first
		if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, ids[2]) {
			s.change(w, r)
			return
		}
		s.api.ServeHTTP(w, r)
	})
	a := s.post("/console/keys/revoke", url.Values{"id": ids})
	a.want(http.StatusOK, "Outcome unknown:", "The server did not answer in time. Check the key.")
	if n := strings.Count(a.body, "It was not tried"); n != 0 && n != 2 {
		t.Errorf("%d keys were not tried", n)
	} else if n == 2 {
		a.want(http.StatusOK, "0 of 3 keys were revoked")
	} else {
		a.want(http.StatusOK, "2 of 3 keys were revoked")
	}
}
