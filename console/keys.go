package console

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

const (
	keysPerPage = 25
	// maxPage is the last page that the API has.
	maxPage = 1_000_000
)

// condition is a key's state, the word on its badge.
type condition string

// The conditions of a key. The first that applies is shown.
const (
	suspended condition = "suspended"
	revoked   condition = "revoked"
	expired   condition = "expired"
	rotating  condition = "rotating" // its old secret still works
	expiring  condition = "expiring" // within apikey.ExpiringSoon
	active    condition = "active"
)

// conditionOf returns a key's condition now.
func conditionOf(k client.Key, now time.Time) condition {
	switch {
	case k.IsSuspended():
		return suspended
	case k.Status == client.StatusRevoked:
		return revoked
	case k.Status == client.StatusExpired || !k.ExpiresAt.After(now):
		return expired
	case k.GraceEndsAt.After(now):
		return rotating
	case k.ExpiresAt.Before(now.Add(apikey.ExpiringSoon)):
		return expiring
	}
	return active
}

// keyRow is a key as pages show it.
type keyRow struct {
	client.Key
	Condition condition
	Own       bool  // whether the reader is signed in with it
	Week      *week // nil if there is none to show
	Now       time.Time
}

func (v *visit) row(k client.Key) keyRow {
	return keyRow{Key: k, Condition: conditionOf(k, v.now), Own: k.ID == v.me.ID, Now: v.now}
}

// UsedRecently reports whether the key was used so recently that somebody may depend on it.
func (r keyRow) UsedRecently() bool {
	return !r.LastUsedAt.IsZero() && r.Now.Sub(r.LastUsedAt) < recentUse
}

// scopesInRow is how many scopes a row of the table shows.
const scopesInRow = 4

// FirstScopes returns the scopes that a row of the table shows.
func (r keyRow) FirstScopes() []string {
	if len(r.Scopes) > scopesInRow+1 { // "1 more" would take as much space as the scope
		return r.Scopes[:scopesInRow]
	}
	return r.Scopes
}

// MoreScopes returns how many more there are.
func (r keyRow) MoreScopes() int { return len(r.Scopes) - len(r.FirstScopes()) }

// Suspended reports whether the key is suspended.
func (r keyRow) Suspended() bool { return r.Condition == suspended }

// Revoked reports whether the key is revoked.
func (r keyRow) Revoked() bool { return r.Condition == revoked }

// keysPage is the table of keys.
type keysPage struct {
	keyFilter
	Rows   []keyRow
	Pages  int
	Total  int    // how many keys match; 0 if counting them would take long
	Create string // a command that creates a key, if there are none yet
	Secret bool   // the search field held a secret, which is not searched for

	Owners, Scopes []string // suggestions
}

// Amount says how many keys match: exactly if that is known, else between how many.
func (p keysPage) Amount() string {
	if p.Total > 0 {
		if p.Total == 1 {
			return "1 key"
		}
		return grouped(p.Total) + " keys"
	}
	return grouped((p.Pages-1)*keysPerPage+1) + " to " + grouped(p.Pages*keysPerPage) + " keys"
}

// Next is the next page.
func (p keysPage) Next() int { return p.Number + 1 }

// Previous is the previous page.
func (p keysPage) Previous() int { return p.Number - 1 }

// Numbers returns the pages to link to: the first, the last and those around this one. 0 stands for
// a gap.
func (p keysPage) Numbers() (numbers []int) {
	const around = 2
	for n := 1; n <= p.Pages; n++ {
		switch {
		case n == 1 || n == p.Pages || n >= p.Number-around && n <= p.Number+around:
			numbers = append(numbers, n)
		case n < p.Number:
			numbers, n = append(numbers, 0), max(n, p.Number-around-1)
		default:
			numbers, n = append(numbers, 0), max(n, p.Pages-1)
		}
	}
	return numbers
}

// Choosable reports whether any of the keys can be revoked.
func (p keysPage) Choosable() bool {
	return slices.ContainsFunc(p.Rows, func(r keyRow) bool { return !r.Revoked() })
}

func showKeys(v *visit) error {
	p := keysPage{keyFilter: v.keyFilter(), Secret: apikey.WithoutSecrets(v.form.Get("q")) != v.form.Get("q")}
	if p.NoSuchStatus() {
		v.show(http.StatusBadRequest, "keys", "Keys", p)
		return nil
	}
	err := v.list(&p)
	if err == nil {
		err = v.addWeeks(p.Rows)
	}
	refusal, ok := errors.AsType[*client.Error](err)
	impossible := ok && refusal.Status == http.StatusBadRequest
	if impossible {
		err = nil // no key can have such a name, owner or prefix
	}
	if err != nil {
		return err
	}
	alone := !p.IsAny() && p.Pages == 1 && len(p.Rows) == 1 && p.Rows[0].Own
	if !v.byLink() && (alone || p.OnlyOwner() && p.Pages == 0 && !impossible) {
		p.Create = v.curlCreate(p.Owner)
	}
	if v.r.Header.Get("Hx-Request") != "" {
		v.w.Header().Set("HX-Push-Url", p.Address()) // without empty parameters
	} else {
		p.Scopes, p.Owners = v.inUse()
	}
	title := "Keys"
	if p.Number > 1 {
		title += ", page " + grouped(p.Number)
	}
	v.show(http.StatusOK, "keys", title, p)
	return nil
}

// list adds the rows of the page. The API has one order, the newest first: the other one reads its pages from the end.
func (v *visit) list(p *keysPage) error {
	api, o, number := v.api.ForOwner(p.Owner), p.options(v.now), p.Number
	count := func() error {
		one := o
		one.PageSize = 1
		list, err := api.ListPage(v.ctx(), 1, one)
		p.Total = list.Pages
		return err
	}
	if p.Oldest {
		if err := count(); err != nil {
			return err
		}
		p.Pages = min((p.Total+keysPerPage-1)/keysPerPage, maxPage)
		if number > p.Pages {
			return nil
		}
		number = p.Pages - number + 1
	}
	list, err := api.ListPage(v.ctx(), number, o)
	if err != nil {
		return err
	}
	p.Pages = min(list.Pages, maxPage)
	for _, k := range list.Keys {
		p.Rows = append(p.Rows, v.row(k))
	}
	switch {
	case p.Oldest:
		slices.Reverse(p.Rows)
	case number == list.Pages:
		p.Total = (number-1)*keysPerPage + len(p.Rows)
	case (!p.IsAny() || p.OnlyOwner()) && list.Pages > 0: // the service keeps these counts
		return count()
	}
	return nil
}
