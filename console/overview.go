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
	// countTimeout is how long the overview waits for the number of keys, unless the reader asked
	// to wait: the service reads all keys to count them.
	countTimeout = 2 * time.Second
)

// overviewPage is the first page of a session.
type overviewPage struct {
	Counted bool
	Tiles   []tile
	Chart   chart
	Events  []event  // for administrators
	Keys    []keyRow // for others
	Alone   bool     // the reader's key is the only one
	Curl    string   // creates the first one
}

// tile is a number of keys with a link to them.
type tile struct {
	Count  int
	What   string
	Help   string
	Filter keyFilter
	Warn   bool // they need attention
}

// showOverview shows the overview. A poll gets only the chart.
func showOverview(v *visit) error {
	const usual = "hour"
	shown := spanNamed(v.form.Get("span"), usual)
	use, err := v.usage("", client.UsageOptions{Interval: shown.interval})
	if err != nil {
		return err
	}
	p := overviewPage{Chart: chartOf(use, v.now)}
	p.Chart.link(Path, usual, shown.Name, "")
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

// count counts the keys unless that takes too long.
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
		{s.Active, "active", "valid now", keyFilter{Status: string(active)}, false},
		{s.Rotating, "rotating", "old secret still works", keyFilter{Status: string(rotating)}, false},
		{s.ExpiringSoon, "expiring", "within " + exactDuration(apikey.ExpiringSoon), keyFilter{Status: string(expiring)}, true},
		{s.Unused, "unused", "for " + exactDuration(apikey.UnusedAfter) + " or more", keyFilter{Unused: true}, true},
		{s.Expired, "expired", "past their expiry", keyFilter{Status: string(expired)}, false},
		{s.Suspended, "suspended", "until enabled again", keyFilter{Status: string(suspended)}, false},
		{s.Revoked - s.Suspended, "revoked", "ended for good", keyFilter{Status: string(revoked)}, false},
	}
	return nil
}

// latest adds the latest events, or the newest keys for readers who may not see events.
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
