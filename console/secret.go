package console

import (
	"net/http"

	"apikeyd/client"
)

// secretCookie carries a new secret, encrypted, from the form that made it to the one page
// that shows it: so the secret is in one answer, and loading that page again does not make
// another.
const secretCookie = "apikeyd_secret"

// secretSeconds is how long that page may take to be opened.
const secretSeconds = 120

// reveal goes to the page that shows the new secret of a key, once.
func (v *visit) reveal(created client.CreatedKey) error {
	path := Path + "/keys/" + created.ID + "/secret"
	sealed := v.seal.close(secretCookie+v.session.ID+created.ID, created.Secret.Reveal())
	http.SetCookie(v.w, cookie(v.r, secretCookie, sealed, path, secretSeconds))
	return v.goTo(path)
}

// secretPage shows a secret.
type secretPage struct {
	client.Key
	Secret string
}

// showSecret shows a new secret to whoever made it. After that there is only its key.
func showSecret(v *visit) error {
	id := v.r.PathValue("id")
	key, err := v.api.Get(v.ctx(), id)
	if err != nil {
		return err
	}
	p := secretPage{Key: key}
	found, err := v.r.Cookie(secretCookie)
	if err != nil || !v.seal.open(secretCookie+v.session.ID+key.ID, found.Value, &p.Secret) {
		return v.goTo(Path + "/keys/" + key.ID)
	}
	http.SetCookie(v.w, cookie(v.r, secretCookie, "", v.r.URL.Path, -1))
	v.show(http.StatusOK, "secret", "The secret of "+key.Name, p)
	return nil
}
