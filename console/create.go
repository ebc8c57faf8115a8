package console

import (
	"net/http"
	"strings"

	"apikeyd/apikey"
	"apikeyd/client"
)

func (v *visit) showKeyForm(status int, f keyForm) {
	title := "New key"
	if !f.IsNew() {
		title = "Edit " + f.Key.Name
	}
	v.show(status, "keyform", title, f)
}

func showNewKey(v *visit) error {
	v.showKeyForm(http.StatusOK, v.keyForm(client.Key{}))
	return nil
}

// createKey creates a key and shows its secret.
func createKey(v *visit) error {
	f := v.keyForm(client.Key{})
	key := settingsOf(v.form, &f.Faults)
	end, problem := v.endOf(v.form)
	if problem == "" && end.IsZero() {
		problem = "Choose when the key expires."
	}
	if problem != "" {
		f.Faults.add("expires", problem)
	}
	if len(f.Faults) > 0 {
		v.addRules(&f)
		v.showKeyForm(http.StatusBadRequest, f)
		return nil
	}
	key.ExpiresAt = end
	api := v.api
	if v.may(apikey.ScopeAdmin) { // others do not have these fields
		api = api.ForOwner(strings.TrimSpace(v.form.Get("owner")))
	} else {
		key.RateLimit, key.Quota = nil, nil
	}
	created, err := api.Create(v.ctx(), key)
	if err != nil {
		return v.showRefused(f, err)
	}
	return v.reveal(created)
}
