package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// eventsOfKey is how many events a key's page shows at once.
const eventsOfKey = 20

// keyPage is the page of a key.
type keyPage struct {
	keyRow
	Limit   string
	Quota   string
	Left    client.QuotaState
	Grace   *countdown // while the secret before the last rotation still works
	Use     chart
	Outside *event   // a recent use from outside the observed networks, for those who may read the audit log
	History *history // likewise
}

// Texts returns the fields that are a line of text, except the name, which is the page's title.
func (keyPage) Texts() []keyfield.Text { return keyfield.Texts()[1:] }

// Having returns the address of the keys with an entry of metadata, or nothing if no list is filtered by its name.
func (keyPage) Having(name, value string) string {
	if strings.Contains(name, "=") {
		return ""
	}
	return keyFilter{Metadata: map[string]string{name: value}}.Address()
}

// history is a page of a key's history.
type history struct {
	Events []event
	Older  string // the address of the next page; empty on the last one
	Newest string // the address of the first page; empty on it
}

// countdown is the time left until something ends.
type countdown struct {
	Seconds int
	Until   moment
}

func countdownTo(end, now time.Time) *countdown {
	return &countdown{Seconds: int((end.Sub(now) + time.Second - 1) / time.Second), Until: momentOf(end, now)}
}

// String formats it as the page's script does.
func (c countdown) String() string {
	hours := c.Seconds / 3600
	switch {
	case hours < 24:
		return fmt.Sprintf("%d:%02d:%02d", hours, c.Seconds/60%60, c.Seconds%60)
	case hours%24 == 0:
		return plural(hours/24, "day")
	}
	return plural(hours/24, "day") + " and " + plural(hours%24, "hour")
}

// keyPath returns the address of a key's page.
func keyPath(id string) string { return Path + "/keys/" + id }

func showKey(v *visit) error {
	asked := v.r.PathValue("id")
	key, err := v.api.Get(v.ctx(), asked)
	if err != nil {
		return err
	}
	if key.ID != asked {
		return v.redirect(keyPath(key.ID))
	}
	p := keyPage{keyRow: v.row(key), Limit: limitText(key.RateLimit), Quota: quotaText(key.Quota)}
	if p.Condition == rotating {
		p.Grace = countdownTo(key.GraceEndsAt, v.now)
	}
	const usual = "day"
	shown := spanNamed(v.form.Get("span"), usual)
	use, err := v.usage(key.ID, client.UsageOptions{Interval: shown.interval})
	if err != nil {
		return err
	}
	p.Use, p.Left = chartOf(use, v.now), use.Quota
	p.Use.link(keyPath(key.ID), usual, shown.Name, key.ID)
	if p.LastUsedAt.IsZero() && p.Use.Valid > 0 { // the store learns of a first use within seconds
		p.LastUsedAt = v.now
	}
	if p.Outside, err = v.outside(key); err != nil {
		return err
	}
	if p.History, err = v.history(key.ID); err != nil {
		return err
	}
	v.show(http.StatusOK, "key", key.Name, p)
	return nil
}

// outsideFor is how long a key's page warns of a use from outside.
const outsideFor = 7 * day

// outside returns the latest use of a key from outside its observed networks, or nil if there was none lately.
func (v *visit) outside(key client.Key) (*event, error) {
	if len(key.ObserveCIDRs) == 0 || !v.may(apikey.ScopeAdmin) {
		return nil, nil
	}
	page, err := v.api.AuditPage(v.ctx(), client.AuditOptions{
		KeyID: key.ID, Action: client.AuditOutside, Since: v.now.Add(-outsideFor), PageSize: 1,
	})
	if err != nil || len(page.Events) == 0 {
		return nil, err
	}
	return &v.events(page.Events, key.ID)[0], nil
}

// history returns a key's events, newest first, or nil for readers who may not see them.
func (v *visit) history(id string) (*history, error) {
	if !v.may(apikey.ScopeAdmin) {
		return nil, nil
	}
	before := v.form.Get("before")
	page, err := v.api.AuditPage(v.ctx(), client.AuditOptions{KeyID: id, Before: before, PageSize: eventsOfKey})
	if err != nil {
		return nil, err
	}
	h := &history{Events: v.events(page.Events, id)}
	if page.Next != "" {
		h.Older = keyPath(id) + "?before=" + url.QueryEscape(page.Next) + "#history"
	}
	if before != "" {
		h.Newest = keyPath(id) + "#history"
	}
	return h, nil
}
