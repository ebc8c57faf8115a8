package console

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"apikeyd/client"
)

// grace is how long the old secret may go on.
type grace struct {
	Long    time.Duration
	Name    string
	Meaning string
}

// Seconds is what the form sends.
func (g grace) Seconds() string { return strconv.Itoa(int(g.Long / time.Second)) }

// rotatePage asks how to rotate a key.
type rotatePage struct {
	keyRow
	Chosen  string     // grace, in seconds
	Grace   *countdown // of a rotation before, if it is not over
	Problem string
}

// Was is how the key was rotated when the page was shown: whoever rotates twice, by a second
// click or in another tab, ends the secret that is in use, and must have been told.
func (p rotatePage) Was() string {
	if p.Grace == nil {
		return ""
	}
	return p.GraceEndsAt.UTC().Format(time.RFC3339Nano)
}

// Graces are those that there are to choose from.
func (rotatePage) Graces() []grace { return graces() }

func graces() []grace {
	return []grace{
		{0, "None", "The old secret stops at once. Right if it may have leaked."},
		{time.Hour, "1 hour", "Time to restart what you run yourself."},
		{day, "24 hours", "Time for a deployment."},
		{7 * day, "7 days", "Time to tell others, and for them to change over."},
	}
}

// EndsFirst reports whether the key itself ends before the longest grace would.
func (p rotatePage) EndsFirst() bool { return p.ExpiresAt.Before(p.Now.Add(7 * day)) }

func (v *visit) rotatePage() (rotatePage, error) {
	key, err := v.api.Get(v.ctx(), v.r.PathValue("id"))
	p := rotatePage{keyRow: v.row(key), Chosen: v.form.Get("grace")}
	if p.Condition == rotating {
		p.Grace = countdownTo(key.GraceEndsAt, v.now)
	}
	return p, err
}

func showRotate(v *visit) error {
	p, err := v.rotatePage()
	if err != nil {
		return err
	}
	if p.Chosen == "" {
		p.Chosen = grace{Long: day}.Seconds()
	}
	return p.show(v, http.StatusOK)
}

func (p rotatePage) show(v *visit, status int) error {
	v.show(status, "rotate", "Rotate "+p.Name, p)
	return nil
}

func rotate(v *visit) error {
	p, err := v.rotatePage()
	switch {
	case err != nil:
		return err
	case p.Grace != nil && v.form.Get("was") != p.Was():
		p.Problem = "Nothing was rotated: this key was rotated meanwhile. Rotate it again only if you mean to."
		return p.show(v, http.StatusConflict)
	}
	created, err := v.rotated()
	if refusal, ok := refused(err); ok {
		p.Problem = "Nothing was rotated. " + sentence(refusal.Message)
		return p.show(v, refusal.Status)
	}
	if err != nil {
		return err
	}
	return v.reveal(created)
}

// rotated rotates the key as the form says.
func (v *visit) rotated() (client.CreatedKey, error) {
	chosen := v.form.Get("grace")
	for _, g := range graces() {
		if g.Seconds() == chosen {
			return v.api.Rotate(v.ctx(), v.r.PathValue("id"), g.Long)
		}
	}
	return client.CreatedKey{}, &client.Error{Status: http.StatusBadRequest, Message: "choose how long the old secret stays good"}
}

// refused returns the refusal of the API, if it is one that a form can tell its reader: not
// that the session has ended, that there is no such key, or that the service has trouble.
func refused(err error) (*client.Error, bool) {
	refusal, ok := errors.AsType[*client.Error](err)
	if !ok {
		return nil, false
	}
	switch refusal.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusConflict:
		return refusal, true
	}
	return nil, false
}
