package client_test

import (
	"testing"
	"time"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

// TestDescription keeps, shows, changes and audits the field that the walk-through adds.
func TestDescription(t *testing.T) {
	api := newKit(t, servertest.Options{}).admin
	made, err := api.Create(t.Context(), client.NewKey{Name: "n", Description: "for tests", ExpiresAt: time.Now().Add(time.Hour)})
	must(t, err)
	changed, err := api.Update(t.Context(), made.ID, client.Change{Description: new("for more")})
	must(t, err)
	shown, err := api.Get(t.Context(), made.ID)
	must(t, err)
	if made.Description != "for tests" || changed.Description != "for more" || shown.Description != "for more" {
		t.Errorf("made %q, changed %q, shown %q", made.Description, changed.Description, shown.Description)
	}
	page, err := api.AuditPage(t.Context(), client.AuditOptions{KeyID: made.ID})
	must(t, err)
	if c := page.Events[0].Changes.Description; c == nil || *c.From != "for tests" || *c.To != "for more" {
		t.Errorf("the event is %+v", page.Events[0])
	}
	none, err := api.Update(t.Context(), made.ID, client.Change{Description: new("")})
	must(t, err)
	if none.Description != "" {
		t.Errorf("the description is still %q", none.Description)
	}
}
