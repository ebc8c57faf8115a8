package console

import "apikeyd/client"

func suspend(v *visit) error {
	return v.setEnabled(false, "was suspended: its secret is refused until somebody resumes it.")
}

func resume(v *visit) error {
	return v.setEnabled(true, "is no longer suspended.")
}

// setEnabled suspends the key in the address, or ends that. It leads back to the list that the form names, or to the key.
func (v *visit) setEnabled(enabled bool, done string) error {
	key, err := v.api.Update(v.ctx(), v.r.PathValue("id"), client.Change{Enabled: &enabled})
	if err != nil {
		return err
	}
	v.notify(notice{key.Name, done})
	if back := v.form.Get("return"); back != "" {
		return v.redirect(ownPath(back))
	}
	return v.redirect(keyPath(key.ID))
}
