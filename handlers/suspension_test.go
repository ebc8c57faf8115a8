package handlers_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

func TestSuspend(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n", "scopes": []string{"keys:read", "keys:write", "a"}, "owner": "team"})
	path := keyPath(made.ID)
	before := k.get(k.admin, path).want(200)
	works := func() {
		k.Helper()
		k.wantDecision(made.Secret, "VALID", "a")
		k.forward(made.Secret, "?scope=a").want(200)
		k.introspect(k.admin, made.Secret).want(200)
		k.get(made, keysPath).want(200)
	}
	works()

	want := before.key()
	want.Status, want.Enabled = "REVOKED", false
	for range 2 {
		got := k.patch(k.admin, path, fields{"enabled": false}).want(200).key()
		if diff := cmp.Diff(want, got); diff != "" {
			k.Errorf("the suspended key differs (-want +got):\n%s", diff)
		}
	}
	k.wantDecision(made.Secret, "DISABLED", "a")
	k.wantDecision(made.Secret, "DISABLED", "lacking")
	k.forward(made.Secret, "?scope=a").refused(401, "CREDENTIAL_DISABLED")
	if body := string(k.introspect(k.admin, made.Secret).want(200).raw); body != "{\"active\":false}\n" {
		k.Errorf("introspection answers %s", body)
	}
	k.get(made, keysPath).refused(401, "CREDENTIAL_DISABLED")
	k.patch(made, path, fields{"enabled": true}).refused(401, "CREDENTIAL_DISABLED")
	k.create(k.admin, fields{"name": "n", "owner": "team"}).refused(409, "NAME_TAKEN")

	got := k.patch(k.admin, path, fields{"enabled": true}).want(200)
	if diff := cmp.Diff(string(before.raw), string(got.raw)); diff != "" {
		k.Errorf("after its suspension the key differs (-before +after):\n%s", diff)
	}
	works()

	k.patch(k.admin, path, fields{"enabled": nil}).invalid("enabled")
	k.patch(k.admin, path, fields{"enabled": "false"}).invalid("enabled")
	k.patch(k.admin, path, fields{"enabled": 0}).invalid("enabled")
	works()
}

// wantDecision asks verify.
func (k *kit) wantDecision(secret, code string, scopes ...string) {
	k.Helper()
	got := decode[struct {
		Code string `json:"code"`
	}](k.ask(k.admin, secret, scopes...).want(200))
	if got.Code != code {
		k.Errorf("verify says %s, want %s", got.Code, code)
	}
}

func TestSuspendedFromTheStart(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n", "enabled": false, "expires_at": k.in(time.Hour)})
	k.wantDecision(made.Secret, "DISABLED")
	k.clock.Advance(2 * time.Hour)
	k.wantDecision(made.Secret, "DISABLED") // before EXPIRED
	k.patch(k.admin, keyPath(made.ID), fields{"enabled": true}).want(200)
	k.wantDecision(made.Secret, "EXPIRED")
	k.patch(k.admin, keyPath(made.ID), fields{"enabled": false}).want(200)
	k.revoke(k.admin, keyPath(made.ID)).want(200)
	k.wantDecision(made.Secret, "REVOKED") // before DISABLED
}

// The rules against escalation apply, and a key may suspend itself.
func TestWhoMaySuspend(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	writer := k.add("team", "writer", apikey.ScopeRead, apikey.ScopeWrite)
	stronger := k.add("team", "stronger", apikey.ScopeRead, apikey.ScopeWrite, apikey.ScopeVerify)
	other := k.add("other", "other", apikey.ScopeRead)
	reader := k.add("team", "reader", apikey.ScopeRead)
	for _, enabled := range []bool{false, true} {
		change := fields{"enabled": enabled}
		k.patch(writer, keyPath(stronger.ID), change).refused(403, "FORBIDDEN")
		k.patch(writer, keyPath(other.ID), change).refused(404, "KEY_NOT_FOUND")
		k.patch(writer, keyPath(reader.ID), change).want(200)
	}
	k.patch(reader, keyPath(reader.ID), fields{"enabled": false}).refused(403, "INSUFFICIENT_SCOPE")
	k.patch(writer, keyPath(writer.ID), fields{"enabled": false}).want(200)
	k.get(writer, keysPath).refused(401, "CREDENTIAL_DISABLED")
}

func TestReasons(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, reason := range apikey.Reasons() {
		made := k.mustCreate(k.admin, fields{"name": string(reason)})
		first := k.revoke(k.admin, keyPath(made.ID)+"?reason="+string(reason)).want(200)
		if got := first.key().Reason; got != string(reason) {
			k.Errorf("the reason is %q, want %q", got, reason)
		}
		second := k.revoke(k.admin, keyPath(made.ID)+"?reason=policy").want(200)
		if diff := cmp.Diff(string(first.raw), string(second.raw)); diff != "" {
			k.Errorf("the second DELETE answers otherwise (-first +second):\n%s", diff)
		}
		k.wantFiltered(k.admin, "revocation_reason="+string(reason), 2, []string{string(reason)})
	}
	made := k.mustCreate(k.admin, fields{"name": "n"})
	for _, query := range []string{"reason=", "reason", "reason=boredom", "reason=POLICY", "reason=policy&reason=policy", "reason=policy,superseded"} {
		k.revoke(k.admin, keyPath(made.ID)+"?"+query).invalid("reason")
	}
	k.revoke(k.admin, keyPath(made.ID)+"?revocation_reason=policy").invalid("revocation_reason")
	k.get(k.admin, keyPath(made.ID)+"?reason=policy").invalid("reason")
	if status := k.get(k.admin, keyPath(made.ID)).want(200).key().Status; status != "ACTIVE" {
		k.Errorf("after refused revocations the key is %s", status)
	}
}

func TestSuspensionFilters(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "a"})
	k.mustCreate(k.admin, fields{"name": "b", "enabled": false})
	gone := k.mustCreate(k.admin, fields{"name": "c", "enabled": false})
	k.revoke(k.admin, keyPath(gone.ID)).want(200)
	for query, want := range map[string][]string{
		"enabled=false":                {"b"},
		"enabled=true":                 {"c", "a", "admin"},
		"status=REVOKED":               {"c", "b"},
		"status=REVOKED&enabled=true":  {"c"},
		"status=REVOKED&enabled=false": {"b"},
		"status=ACTIVE":                {"a", "admin"},
		"status=ACTIVE&enabled=false":  {},
	} {
		k.wantFiltered(k.admin, query, 2, want)
	}
}
