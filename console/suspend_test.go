//go:build full

package console_test

import (
	"testing"

	"apikeyd/client"
)

func TestSuspend(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target := k.add("acme", "worker", "datasets:read")
	b := k.browse()
	b.signIn(k.admin)
	b.open(pathOf(target.ID))
	b.click("form[action$='/suspend'] button")
	b.at(pathOf(target.ID))
	b.want(".notice", "worker was suspended: its secret is refused until somebody resumes it.")
	b.want("h1", "suspended")
	b.want("main", "It is suspended", "Suspended", "Expires")
	if k.valid(target.Secret) {
		t.Error("a suspended key is good")
	}
	b.open("/console/keys?status=suspended")
	b.want("tbody", "worker", "suspended")
	b.wantNot("tbody", "acme's own")
	b.open("/console/keys?status=revoked")
	b.wantNot("#results", "worker")
	b.open("/console")
	b.want(".tiles", "suspended")

	b.open(pathOf(target.ID))
	b.click("form[action$='/resume'] button")
	b.at(pathOf(target.ID))
	b.want(".notice", "worker is no longer suspended.")
	b.want("h1", "active")
	b.want("#history ~ .events", "Suspended", "Resumed")
	if !k.valid(target.Secret) {
		t.Error("a key that was suspended is not good")
	}

	// The form does the same, and leaves a suspension that somebody else made.
	b.open(pathOf(target.ID, "edit"))
	b.click("[name=suspended]")
	b.click(sendForm)
	b.confirm("enabled: yes", "no")
	b.at(pathOf(target.ID))
	b.want("h1", "suspended")
	b.open(pathOf(target.ID, "edit"))
	_, err := k.as(k.admin).Resume(t.Context(), target.ID.String())
	k.must(err)
	b.fill("#name", "worker 2")
	b.refused(412) // it tells of the change first
	b.click(sendForm)
	b.confirm("name: worker", "worker 2")
	b.at(pathOf(target.ID))
	b.want("h1", "worker 2", "active")

	// Its owner may be suspended instead.
	suspendOwner := func(suspended bool) {
		_, err := k.as(k.admin).UpdateOwner(t.Context(), "acme", client.OwnerChange{Enabled: new(!suspended)})
		k.must(err)
	}
	suspendOwner(true)
	b.open(pathOf(target.ID))
	b.want("h1", "suspended")
	b.want("main", "Its owner is suspended")
	b.wantNot("main", "Resume\n")
	suspendOwner(false)

	// Nobody suspends the key that they are signed in with by a slip.
	b.open(pathOf(k.admin.ID))
	b.wantNot("main", "Suspend\n")
	if n := evaluate[int](b, "document.querySelectorAll(\"form[action$='/suspend']\").length"); n != 0 {
		t.Error("one's own key can be suspended with one click")
	}
}

func TestRevokeForAReason(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target := k.add("acme", "worker", "datasets:read")
	b := k.browse()
	b.signIn(k.admin)
	b.open(pathOf(target.ID, "revoke"))
	evaluate[string](b, "document.getElementById('reason').value = 'owner_left'")
	b.click("main button[type=submit]")
	b.at(pathOf(target.ID))
	b.want("main", "Reason", "owner left")
	if reason := k.get("acme", "worker").RevocationReason; reason != client.ReasonOwnerLeft {
		t.Errorf("the reason is %s", reason)
	}
}
