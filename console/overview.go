package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

const (
	latest = 8 // how many events or keys the overview shows
	// countTimeout is how long the overview waits for the keys to be counted, unless its
	// reader said to wait: the service reads them all for it.
	countTimeout = 2 * time.Second
)

// overviewPage is where a session begins.
type overviewPage struct {
	Counted bool
	Tiles   []tile
	Chart   chart
	Events  []event  // for administrators
	Keys    []keyRow // for others
	Alone   bool     // there is no key but the reader's own
	Curl    string   // makes the first one
}

// tile is a count that leads to the keys that were counted.
type tile struct {
	Count  int
	What   string
	Help   string
	Filter keyFilter
	Warn   bool // somebody should look at them
}

// showOverview shows how it stands with the keys. A page that asks by itself gets the
// chart alone.
func showOverview(v *visit) error {
	usage, err := v.api.Usage(v.ctx())
	if err != nil {
		return err
	}
	p := overviewPage{Chart: chartOf(usage, v.now)}
	if !v.polls() {
		if err = v.count(&p); err == nil {
			err = v.latest(&p)
		}
	}
	if err != nil {
		return err
	}
	v.show(http.StatusOK, "overview", "Overview", p)
	return nil
}

// count counts the keys, if that does not take too long.
func (v *visit) count(p *overviewPage) error {
	ctx := v.ctx()
	if v.form.Get("count") != "wait" {
		limited, cancel := context.WithTimeout(ctx, countTimeout)
		defer cancel()
		ctx = limited
	}
	s, err := v.api.Summary(ctx)
	if errors.Is(err, context.DeadlineExceeded) && v.ctx().Err() == nil {
		return nil
	}
	if err != nil {
		return err
	}
	p.Counted = true
	p.Alone, p.Curl = s.Active+s.Expired+s.Revoked <= 1, v.curlCreate("")
	p.Tiles = []tile{
		{s.Active, "active", "good for use now", keyFilter{Status: string(active)}, false},
		{s.Rotating, "rotating", "old secret works too", keyFilter{Status: string(rotating)}, false},
		{s.ExpiringSoon, "expiring", "within " + exactDuration(apikey.ExpiringSoon), keyFilter{Status: string(expiring)}, true},
		{s.Unused, "unused", "for " + exactDuration(apikey.UnusedAfter) + " or more", keyFilter{Unused: true}, true},
		{s.Expired, "expired", "past their end", keyFilter{Status: string(expired)}, false},
		{s.Revoked, "revoked", "ended for good", keyFilter{Status: string(revoked)}, false},
	}
	return nil
}

// latest finds what happened last, as far as the reader may know it.
func (v *visit) latest(p *overviewPage) error {
	if v.may(apikey.ScopeAdmin) {
		page, err := v.api.AuditPage(v.ctx(), client.AuditOptions{PageSize: latest})
		p.Events = v.events(page.Events, "")
		return err
	}
	page, err := v.api.ListPage(v.ctx(), 1, client.ListOptions{PageSize: latest})
	for _, k := range page.Keys {
		p.Keys = append(p.Keys, v.row(k))
	}
	return err
}
