package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"apikeyd/client"
)

// maxBulk is the largest number of keys that can be revoked at once.
const maxBulk = 100

// bulkPage asks whether to revoke several keys.
type bulkPage struct {
	Rows           []keyRow // keys to revoke
	AlreadyRevoked int
	NotFound       int
	Return         string // the page on which they were selected
	Typed          string // their number, to confirm
	Problem        string
	Mistyped       string
}

// UsedRecently reports whether one of them was used recently.
func (p bulkPage) UsedRecently() bool { return slices.ContainsFunc(p.Rows, keyRow.UsedRecently) }

// HasOwn reports whether one of them is the key that the reader is signed in with.
func (p bulkPage) HasOwn() bool {
	return slices.ContainsFunc(p.Rows, func(r keyRow) bool { return r.Own })
}

// Count returns the number of keys, with its unit.
func (p bulkPage) Count() string { return plural(len(p.Rows), "key") }

// bulkPage reads which keys were selected. The reader's own comes last, because it is needed to
// revoke the others.
func (v *visit) bulkPage() (bulkPage, error) {
	p := bulkPage{Return: ownPath(v.form.Get("return")), Typed: strings.TrimSpace(v.confirmed("count"))}
	if p.Return == Path {
		p.Return = Path + "/keys"
	}
	ids := slices.Compact(slices.Sorted(slices.Values(v.form["id"])))
	if len(ids) > maxBulk {
		return p, &client.Error{Status: http.StatusBadRequest,
			Message: "at most " + strconv.Itoa(maxBulk) + " keys can be revoked at once; choose fewer"}
	}
	var own []keyRow
	for _, id := range ids {
		key, err := v.api.Get(v.ctx(), id)
		if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status == http.StatusNotFound {
			p.NotFound++
			continue
		}
		row := v.row(key)
		switch {
		case err != nil:
			return p, err
		case row.Condition == revoked:
			p.AlreadyRevoked++
		case row.Own:
			own = append(own, row)
		default:
			p.Rows = append(p.Rows, row)
		}
	}
	slices.Reverse(p.Rows) // newest first, as in the table
	p.Rows = append(p.Rows, own...)
	return p, nil
}

func (p bulkPage) show(v *visit, status int) error {
	title := "Revoke " + p.Count()
	if len(p.Rows) == 0 {
		title = "No key to revoke"
	}
	v.show(status, "bulk", title, p)
	return nil
}

func showBulk(v *visit) error {
	p, err := v.bulkPage()
	if err != nil {
		return err
	}
	return p.show(v, http.StatusOK)
}

// outcome is the result of revoking one of several keys.
type outcome struct {
	keyRow
	Problem string // why it was not revoked; empty if it was
	Unknown bool   // it may have been revoked
	Untried bool
}

// outcomes is the result of revoking several keys.
type outcomes struct {
	All    []outcome
	Done   int
	Return string
}

func revokeSeveral(v *visit) error {
	p, err := v.bulkPage()
	switch {
	case err != nil:
		return err
	case len(p.Rows) == 0:
		return p.show(v, http.StatusBadRequest)
	case p.UsedRecently() && p.Typed != strconv.Itoa(len(p.Rows)):
		p.Problem = "Nothing was revoked."
		p.Mistyped = "Type " + strconv.Itoa(len(p.Rows)) + " to confirm."
		return p.show(v, http.StatusBadRequest)
	}
	done := outcomes{Return: p.Return}
	signedOut := false
	for _, row := range p.Rows {
		o := v.revokeOne(row, client.ReasonUnspecified)
		if o.Problem == "" {
			done.Done++
			signedOut = row.Own
		}
		done.All = append(done.All, o)
	}
	switch {
	case done.Done < len(done.All):
		if signedOut {
			v.endSession(v.w, v.r)
			v.me = client.Key{}
		}
		v.show(http.StatusOK, "outcomes", strconv.Itoa(done.Done)+" of "+p.Count()+" were revoked", done)
		return nil
	case signedOut:
		return v.endOwnSession()
	case done.Done == 1:
		v.notify(wasRevoked(p.Rows[0].Key))
	default:
		v.notify(notice{Text: p.Count() + " were revoked: their secrets are refused from now on."})
	}
	return v.redirect(p.Return)
}

// revokeOne revokes one of several keys if there is time left.
func (v *visit) revokeOne(row keyRow, reason client.RevocationReason) outcome {
	o := outcome{keyRow: row}
	if v.ctx().Err() != nil {
		o.Untried, o.Problem = true, "It was not tried because the others took too long. Revoke it again."
		return o
	}
	_, err := v.api.RevokeFor(v.ctx(), row.ID, reason)
	refusal, ok := errors.AsType[*client.Error](err)
	switch {
	case err == nil:
	case !ok || refusal.Code == client.CodeOutcomeUnknown:
		o.Unknown, o.Problem = true, "The server did not answer in time. Check the key."
	default:
		o.Problem = sentence(refusal.Message)
	}
	return o
}
