package console

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"apikeyd/client"
)

// grace is how long the old secret keeps working.
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

// Was identifies the last rotation when the page was shown. A second rotation, by another click or
// in another tab, ends the secret in use, so the reader must have been warned.
func (p rotatePage) Was() string {
	if p.Grace == nil {
		return ""
	}
	return p.GraceEndsAt.UTC().Format(time.RFC3339Nano)
}

// Graces are the choices.
func (rotatePage) Graces() []grace { return graces() }

func graces() []grace {
	return []grace{
		{0, "None", "The old secret stops working at once. Choose this if it may have leaked."},
		{time.Hour, "1 hour", "Time to restart your own programs."},
		{day, "24 hours", "Time for a deployment."},
		{7 * day, "7 days", "Time to tell others and let them switch."},
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
		p.Problem = "Nothing was rotated: somebody rotated this key in the meantime. Rotate it again only if you mean to."
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
	return client.CreatedKey{}, &client.Error{Status: http.StatusBadRequest, Message: "choose how long the old secret keeps working"}
}

// refused returns the API's refusal if a form can show it: not if the session has ended, the key
// does not exist, or the service failed.
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
