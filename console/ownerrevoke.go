package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"apikeyd/client"
)

const (
	// revokeAllFor is how long one form revokes keys: the rest of visitTimeout is for its answer.
	revokeAllFor = visitTimeout * 2 / 3
	// revokedAtOnce is how many keys are revoked at once, so that their transactions share commits.
	revokedAtOnce = 16
	// failuresShown is how many keys that were not revoked are named.
	failuresShown = 50
)

// ownerRevokePage asks whether to revoke all keys of an owner.
type ownerRevokePage struct {
	ownerRow
	Count    int    // keys to revoke: all that are not revoked for good, except the reader's own
	Typed    string // their number, to confirm
	Suspend  bool   // the owner, first
	Reason   client.RevocationReason
	Problem  string
	Mistyped string
}

// Reasons are the reasons to choose from.
func (ownerRevokePage) Reasons() []client.RevocationReason { return revokePage{}.Reasons() }

func (v *visit) ownerRevokePage() (ownerRevokePage, error) {
	o, err := v.owner()
	p := ownerRevokePage{ownerRow: o, Count: o.Living(), Typed: strings.TrimSpace(v.confirmed("count"))}
	if o.Own {
		p.Count--
	}
	p.Reason, p.Suspend = client.ReasonUnspecified, p.Enabled && !o.Own
	if v.typed() {
		p.Reason = client.RevocationReason(v.form.Get("reason"))
		p.Suspend = p.Suspend && v.form.Get("suspend") != ""
	}
	return p, err
}

func (p ownerRevokePage) show(v *visit, status int) error {
	v.show(status, "ownerrevoke", "Revoke all keys of "+p.Name, p)
	return nil
}

func showRevokeAll(v *visit) error {
	p, err := v.ownerRevokePage()
	if err != nil {
		return err
	}
	return p.show(v, http.StatusOK)
}

// revokedAll is the result of revoking all keys of an owner.
type revokedAll struct {
	ownerRow           // as it is afterwards
	Done     int       // keys that were revoked
	Failed   int       // keys that were not, or may not have been
	Failures []outcome // the first of them
	Left     int       // keys that are not revoked now, except the reader's own
	TimeUp   bool
}

// Others is how many keys are left that were not tried, or were created meanwhile.
func (r revokedAll) Others() int { return max(r.Left-r.Failed, 0) }

// More returns how many failures are not shown.
func (r revokedAll) More() int { return r.Failed - len(r.Failures) }

func revokeAllOfOwner(v *visit) error {
	p, err := v.ownerRevokePage()
	switch {
	case err != nil:
		return err
	case p.Count == 0:
		return p.show(v, http.StatusBadRequest)
	case p.Typed != strconv.Itoa(p.Count):
		p.Problem, p.Mistyped = "Nothing was revoked.", "Type "+strconv.Itoa(p.Count)+" to confirm: so many keys there are now."
		return p.show(v, http.StatusBadRequest)
	}
	if p.Suspend {
		_, err := v.api.UpdateOwner(v.ctx(), p.Name, client.OwnerChange{Enabled: new(false)})
		if refusal, ok := refused(err); ok {
			p.Problem = "Nothing was revoked. " + sentence(refusal.Message)
			return p.show(v, refusal.Status)
		}
		if err != nil {
			return err
		}
	}
	done, err := v.revokeAll(p)
	if err != nil {
		return err
	}
	count := plural(done.Done, "key")
	if done.Left > 0 || done.Failed > 0 {
		v.show(http.StatusOK, "ownerrevoked", count+" revoked, "+strconv.Itoa(done.Left)+" left", done)
		return nil
	}
	text := ": " + count + " were revoked, and their secrets are refused from now on."
	if done.Done == 1 {
		text = ": 1 key was revoked, and its secret is refused from now on."
	}
	v.notify(notice{p.Name, text})
	return v.redirect(p.Page("owner"))
}

// revokeAll revokes an owner's keys, the newest first, until all were tried or the time is up.
func (v *visit) revokeAll(p ownerRevokePage) (revokedAll, error) {
	done := revokedAll{}
	ctx, cancel := context.WithTimeout(v.ctx(), revokeAllFor)
	defer cancel()
	api := v.api.ForOwner(p.Name)
	for cursor, more := "", true; more && ctx.Err() == nil; more = cursor != "" {
		page, err := api.ListAfter(ctx, cursor, client.ListOptions{PageSize: maxBulk})
		if err != nil {
			if ctx.Err() != nil && v.ctx().Err() == nil {
				break
			}
			if done.Done > 0 {
				done.TimeUp = true // what was done must be reported
				break
			}
			return done, err
		}
		cursor = page.NextCursor
		var rows []keyRow
		for _, key := range page.Keys {
			if row := v.row(key); !row.Revoked() && !row.Own {
				rows = append(rows, row)
			}
		}
		for _, o := range v.revokeRows(ctx, rows, p.Reason) {
			switch {
			case o.Problem == "":
				done.Done++
			case o.Untried:
			default:
				if done.Failed++; len(done.Failures) < failuresShown {
					done.Failures = append(done.Failures, o)
				}
			}
		}
	}
	done.TimeUp = done.TimeUp || ctx.Err() != nil
	o, err := v.api.Owner(v.ctx(), p.Name)
	if err != nil {
		return done, err
	}
	done.ownerRow = v.ownerRow(o)
	if done.Left = done.Living(); done.Own {
		done.Left--
	}
	return done, nil
}

// revokeRows revokes some keys at once, while there is time.
func (v *visit) revokeRows(ctx context.Context, rows []keyRow, reason client.RevocationReason) []outcome {
	outcomes := make([]outcome, len(rows))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(revokedAtOnce, len(rows)) {
		workers.Go(func() {
			for i := range next {
				if ctx.Err() != nil {
					outcomes[i] = outcome{keyRow: rows[i], Untried: true, Problem: "It was not tried."}
					continue
				}
				outcomes[i] = v.revokeOne(rows[i], reason)
			}
		})
	}
	for i := range rows {
		next <- i
	}
	close(next)
	workers.Wait()
	return outcomes
}
