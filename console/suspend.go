package console

import "apikeyd/client"

func suspend(v *visit) error {
	return v.setEnabled(false, "was suspended: its secret is refused until somebody resumes it.")
}

func resume(v *visit) error {
	return v.setEnabled(true, "is no longer suspended.")
}

// setEnabled suspends the key in the address, or ends that.
func (v *visit) setEnabled(enabled bool, done string) error {
	key, err := v.api.Update(v.ctx(), v.r.PathValue("id"), client.Change{Enabled: &enabled})
	if err != nil {
		return err
	}
	v.notify(notice{key.Name, done})
	return v.redirect(keyPath(key.ID))
}
