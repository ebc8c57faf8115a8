package handlers_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOwners(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	alice := k.add("alice", "alice", "keys:read", "keys:write")
	k.add("alice", "same name", "keys:read", "keys:write")
	bob := k.add("bob", "bob", "keys:read", "keys:write")
	k.add("bob", "same name", "keys:read", "keys:write")
	before := k.everything()

	// Another owner's key is not found: neither its existence nor its scopes are revealed.
	for name, path := range map[string]string{
		"by id":                     keyPath(bob.ID),
		"by name":                   keyPath("bob"),
		"by id with one's own name": keyPath(bob.ID) + "?owner=alice",
		"a key of nobody":           keyPath("nobody"),
	} {
		k.Run("another owner's key "+name, func(k *kit) {
			k.get(alice, path).refused(404, "KEY_NOT_FOUND")
			k.patch(alice, path, fields{"name": "stolen"}).refused(404, "KEY_NOT_FOUND")
			k.patch(alice, path, fields{}).refused(404, "KEY_NOT_FOUND")
			k.rotate(alice, path, nil).refused(404, "KEY_NOT_FOUND")
			k.revoke(alice, path).refused(404, "KEY_NOT_FOUND")
		})
	}
	k.Run("naming another owner", func(k *kit) {
		for _, path := range []string{keyPath(bob.ID), keyPath("bob"), keyPath(alice.ID), keyPath("nobody")} {
			path += "?owner=bob"
			k.get(alice, path).refused(403, "FORBIDDEN")
			k.patch(alice, path, fields{"name": "stolen"}).refused(403, "FORBIDDEN")
			k.rotate(alice, path, fields{"grace_seconds": 60}).refused(403, "FORBIDDEN")
			k.revoke(alice, path).refused(403, "FORBIDDEN")
		}
		k.create(alice, fields{"owner": "bob"}).refused(403, "FORBIDDEN")
		k.create(alice, fields{"owner": "nobody"}).refused(403, "FORBIDDEN")
		k.create(alice, fields{"owner": "Alice"}).refused(403, "FORBIDDEN")
	})
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}

	k.Run("naming oneself", func(k *kit) {
		for _, path := range []string{keyPath(alice.ID), keyPath("alice")} {
			if got := k.get(alice, path+"?owner=alice").want(200).key().ID; got != alice.ID {
				k.Errorf("%s reached %s", path, got)
			}
		}
		own := k.mustCreate(alice, fields{"name": "own", "owner": "alice"})
		k.patch(alice, keyPath("own")+"?owner=alice", fields{"name": "mine"}).want(200)
		k.revoke(alice, keyPath(own.ID)+"?owner=alice").want(200)
	})
	k.Run("one name, two owners", func(k *kit) {
		k.patch(alice, keyPath("same name"), fields{"scopes": []string{}}).want(200)
		if got := k.get(bob, keyPath("same name")).want(200).key(); len(got.Scopes) != 2 {
			k.Errorf("bob's key has the scopes %v now", got.Scopes)
		}
	})
}

func TestAdminReach(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	bob := k.add("bob", "laptop", "keys:read", "datasets:read")
	own := k.add("admin", "laptop", "keys:read")
	tests := []struct {
		name, path string
		want       key // zero means not found
	}{
		{"by id, any owner", keyPath(bob.ID), bob},
		{"by id and owner", keyPath(bob.ID) + "?owner=bob", bob},
		{"by id and another owner", keyPath(bob.ID) + "?owner=admin", key{}},
		{"by name, one's own", keyPath("laptop"), own},
		{"by name and owner", keyPath("laptop") + "?owner=bob", bob},
		{"by name and own owner", keyPath("laptop") + "?owner=admin", own},
		{"by name, not one's own", keyPath("phone"), key{}},
		{"by name and nobody", keyPath("laptop") + "?owner=nobody", key{}},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			if tt.want.ID == "" {
				k.get(k.admin, tt.path).refused(404, "KEY_NOT_FOUND")
				k.patch(k.admin, tt.path, fields{"name": "other"}).refused(404, "KEY_NOT_FOUND")
				k.rotate(k.admin, tt.path, nil).refused(404, "KEY_NOT_FOUND")
				k.revoke(k.admin, tt.path).refused(404, "KEY_NOT_FOUND")
				return
			}
			for _, answer := range []response{
				k.get(k.admin, tt.path),
				k.patch(k.admin, tt.path, fields{"expires_at": k.in(time.Hour)}),
			} {
				if got := answer.want(200).key(); got.ID != tt.want.ID || got.Owner != tt.want.Owner {
					k.Errorf("reached %s of %s", got.ID, got.Owner)
				}
			}
		})
	}
	k.revoke(k.admin, keyPath("laptop")+"?owner=bob").want(200)
	k.get(bob, keysPath).refused(401, "CREDENTIAL_REVOKED")
	k.get(own, keysPath).want(200)
	for _, owner := range []string{"bob", "carol", "admin"} {
		if got := k.mustCreate(k.admin, fields{"name": "new", "owner": owner}).Owner; got != owner {
			k.Errorf("created for %s, want %s", got, owner)
		}
	}
}

func TestNobodyGrantsWhatItLacks(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	tests := []struct {
		name    string
		creator []string
		asked   []string
		granted bool
	}{
		{"admin, by one who may write", []string{"keys:read", "keys:write"}, []string{"keys:admin"}, false},
		{"verify", []string{"keys:read", "keys:write"}, []string{"keys:verify"}, false},
		{"read, by one who may only write", []string{"keys:write"}, []string{"keys:read"}, false},
		{"a scope of an integrator", []string{"keys:write"}, []string{"datasets:read"}, false},
		{"one of several", []string{"keys:write", "a"}, []string{"a", "keys:write", "b"}, false},
		{"in another case", []string{"keys:write", "datasets:read"}, []string{"Datasets:Read"}, false},
		{"a longer one", []string{"keys:write", "datasets"}, []string{"datasets:read"}, false},
		{"a shorter one", []string{"keys:write", "datasets:read"}, []string{"datasets"}, false},
		{"none", []string{"keys:write"}, []string{}, true},
		{"the same", []string{"keys:write", "a"}, []string{"keys:write", "a"}, true},
		{"fewer", []string{"keys:write", "a"}, []string{"a"}, true},
		{"admin, by an admin", []string{"keys:admin"}, []string{"keys:admin"}, true},
		{"ours, by an admin", []string{"keys:admin"}, []string{"keys:read", "keys:write", "keys:verify"}, true},
		{"anything, by an admin", []string{"keys:admin"}, []string{"datasets:read"}, true},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			creator := k.add(tt.name, "creator", tt.creator...)
			child := k.mustCreate(creator, fields{"name": "child", "scopes": []string{}})
			created := k.create(creator, fields{"name": "asked", "scopes": tt.asked})
			changed := k.patch(creator, keyPath("child"), fields{"scopes": tt.asked})
			if tt.granted {
				created.want(201)
				if diff := cmp.Diff(tt.asked, changed.want(200).key().Scopes); diff != "" {
					k.Errorf("scopes differ (-want +got):\n%s", diff)
				}
				return
			}
			created.refused(403, "FORBIDDEN")
			changed.refused(403, "FORBIDDEN")
			k.patch(creator, keyPath("creator"), fields{"scopes": tt.asked}).refused(403, "FORBIDDEN")
			k.get(k.admin, keyPath("asked")+"?owner="+percent(tt.name)).refused(404, "KEY_NOT_FOUND")
			if got := k.get(k.admin, keyPath(child.ID)).want(200).key().Scopes; len(got) > 0 {
				k.Errorf("the child got %v", got)
			}
		})
	}
}

// changes has every kind of change by PATCH, including harmless ones.
func (k *kit) changes() map[string]fields {
	return map[string]fields{
		"rename":            {"name": "taken over"},
		"rename to itself":  {"name": "victim"},
		"prolong":           {"expires_at": k.in(100000 * time.Hour)},
		"shorten":           {"expires_at": k.in(time.Millisecond)},
		"take its scopes":   {"scopes": []string{}},
		"narrow to our own": {"scopes": []string{"keys:read", "keys:write"}},
		"nothing":           {},
	}
}

func TestNobodyManagesWhatIsAboveIt(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	tests := []struct {
		name           string
		caller, victim []string
		allowed        bool
	}{
		{"an admin's key", []string{"keys:read", "keys:write"}, []string{"keys:admin"}, false},
		{"an admin's key, with every other scope", []string{"keys:read", "keys:write", "keys:verify"}, []string{"keys:admin"}, false},
		{"a key that reads, by one that only writes", []string{"keys:write"}, []string{"keys:read"}, false},
		{"a key that verifies", []string{"keys:read", "keys:write"}, []string{"keys:verify"}, false},
		{"a key with an integrator's scope", []string{"keys:read", "keys:write"}, []string{"datasets:read"}, false},
		{"a key with one scope more", []string{"keys:write", "a"}, []string{"keys:write", "a", "b"}, false},
		{"an equal", []string{"keys:read", "keys:write"}, []string{"keys:write", "keys:read"}, true},
		{"a key with fewer scopes", []string{"keys:read", "keys:write", "a"}, []string{"a"}, true},
		{"a key without scopes", []string{"keys:read", "keys:write"}, nil, true},
		{"anything, by an admin", []string{"keys:admin"}, []string{"keys:verify", "datasets:read"}, true},
		{"an admin, by an admin", []string{"keys:admin"}, []string{"keys:admin", "datasets:read"}, true},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			caller := k.add(tt.name, "caller", tt.caller...)
			victim := k.add(tt.name, "victim", tt.victim...)
			if tt.allowed {
				k.patch(caller, keyPath("victim"), fields{"name": "renamed"}).want(200)
				k.rotate(caller, keyPath("renamed"), nil).want(200)
				k.revoke(caller, keyPath(victim.ID)).want(200)
				return
			}
			before := k.get(k.admin, keyPath(victim.ID)).want(200).key()
			for _, path := range []string{keyPath("victim"), keyPath(victim.ID)} {
				for name, change := range k.changes() {
					k.Run(name, func(k *kit) { k.patch(caller, path, change).refused(403, "FORBIDDEN") })
				}
				k.rotate(caller, path, nil).refused(403, "FORBIDDEN")
				k.rotate(caller, path, fields{"grace_seconds": 604800}).refused(403, "FORBIDDEN")
				k.revoke(caller, path).refused(403, "FORBIDDEN")
			}
			if diff := cmp.Diff(before, k.get(k.admin, keyPath(victim.ID)).want(200).key()); diff != "" {
				k.Errorf("a refused request changed the key (-before +after):\n%s", diff)
			}
			// Nor a revoked one: the answer shows the key.
			k.revoke(k.admin, keyPath(victim.ID)).want(200)
			k.revoke(caller, keyPath(victim.ID)).refused(403, "FORBIDDEN")
			k.patch(caller, keyPath(victim.ID), fields{}).refused(403, "FORBIDDEN")
			k.rotate(caller, keyPath(victim.ID), nil).refused(403, "FORBIDDEN")
		})
	}
}

// The rule exists for this case: a key that the first key created with the smallest body must not be able
// to take over the first key.
func TestChildOfTheFirstKey(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	child := k.mustCreate(k.admin, fields{"name": "child"})
	before := k.everything()
	for _, path := range []string{keyPath("admin"), keyPath(k.admin.ID)} {
		for name, change := range k.changes() {
			k.Run(name, func(k *kit) { k.patch(child, path, change).refused(403, "FORBIDDEN") })
		}
		k.rotate(child, path, nil).refused(403, "FORBIDDEN")
		k.rotate(child, path, fields{"grace_seconds": 604800}).refused(403, "FORBIDDEN")
		k.revoke(child, path).refused(403, "FORBIDDEN")
	}
	k.get(k.admin, keysPath).want(200) // its secret still works
	k.create(child, fields{"name": "heir", "scopes": []string{"keys:admin"}}).refused(403, "FORBIDDEN")
	k.patch(child, keyPath("child"), fields{"scopes": []string{"keys:read", "keys:write", "keys:admin"}}).
		refused(403, "FORBIDDEN")
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
	// It may do everything to keys with the same scopes.
	grandchild := k.mustCreate(child, fields{"name": "grandchild"})
	k.patch(grandchild, keyPath("child"), fields{"name": "parent"}).want(200)
	k.revoke(grandchild, keyPath(child.ID)).want(200)
	k.get(child, keysPath).refused(401, "CREDENTIAL_REVOKED")
}

func TestKeyManagesItself(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	own := k.add("team", "own", "keys:read", "keys:write", "datasets:read")
	k.patch(own, keyPath("own"), fields{"name": "mine"}).want(200)
	k.patch(own, keyPath(own.ID), fields{"expires_at": "9999-12-31T23:59:59.999Z"}).want(200)
	k.patch(own, keyPath("mine"), fields{"scopes": []string{"keys:read", "keys:write"}}).want(200)
	// It cannot take back a scope that it gave up.
	k.patch(own, keyPath("mine"), fields{"scopes": []string{"keys:read", "keys:write", "datasets:read"}}).
		refused(403, "FORBIDDEN")
	k.create(own, fields{"scopes": []string{"datasets:read"}}).refused(403, "FORBIDDEN")
	k.revoke(own, keyPath("mine")).want(200)
	k.get(own, keyPath("mine")).refused(401, "CREDENTIAL_REVOKED")

	writer := k.add("team", "writer", "keys:read", "keys:write")
	k.patch(writer, keyPath("writer"), fields{"scopes": []string{"keys:read"}}).want(200)
	k.patch(writer, keyPath("writer"), fields{"name": "again"}).refused(403, "INSUFFICIENT_SCOPE")
	k.get(writer, keyPath("writer")).want(200)

	admin := k.add("admin", "second", "keys:admin")
	k.patch(admin, keyPath("second"), fields{"scopes": []string{"keys:read"}}).want(200)
	k.get(admin, keyPath(writer.ID)).refused(404, "KEY_NOT_FOUND")
	k.patch(admin, keyPath("second"), fields{"scopes": []string{"keys:admin"}}).refused(403, "INSUFFICIENT_SCOPE")
}

// A key with write access alone sees the keys that it may change, which it could rotate and use anyway.
// It sees nothing else.
func TestWriterSeesWhatItMayChange(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	writer := k.add("team", "writer", "keys:write", "a")
	below, above := k.add("team", "below", "a"), k.add("team", "above", "keys:read")
	foreign := k.add("others", "foreign", "a")
	for _, target := range []key{below, above, foreign} {
		k.patch(k.admin, keyPath(target.ID), fields{"metadata": fields{"note": "private"}}).want(200)
	}
	if got := k.patch(writer, keyPath(below.ID), fields{}).want(200).key().Metadata["note"]; got != "private" {
		k.Errorf("the answer to an empty change has the note %q", got)
	}
	k.patch(writer, keyPath(above.ID), fields{}).refused(403, "FORBIDDEN")
	k.patch(writer, keyPath(foreign.ID), fields{}).refused(404, "KEY_NOT_FOUND")
	k.get(writer, keyPath(below.ID)).refused(403, "INSUFFICIENT_SCOPE")
	k.get(writer, keysPath).refused(403, "INSUFFICIENT_SCOPE")
}
