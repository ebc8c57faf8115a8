// Package keyfield says how people see and type the fields of a key. The console and the
// command line share it.
package keyfield

import (
	"strings"

	"apikeyd/apikey"
	"apikeyd/client"
)

// Text is a field of a key that is a line of text. The form, the page and the history of a key
// have each of them, and so do the commands. Fields of another shape have code of their own
// there: expiry, scopes, metadata and rate limit.
type Text struct {
	Name     string // in the contract and in forms
	Label    string // in lower case
	Help     string // what a form says about it
	Required bool

	Of       func(client.Key) string
	InNew    func(*client.NewKey) *string
	InChange func(*client.Change) **string
	InAudit  func(client.AuditChanges) *client.AuditChange[string]
}

// Flag is the name of its flag.
func (t Text) Flag() string { return "--" + strings.ReplaceAll(t.Name, "_", "-") }

// Heading is the label as a page begins a line with it.
func (t Text) Heading() string { return strings.ToUpper(t.Label[:1]) + t.Label[1:] }

// Texts are all of them, in the order in which people see them. The first one is the name.
func Texts() []Text {
	return []Text{
		{
			Name: "name", Label: "name", Required: true,
			Help:     "What it is for, such as ci-pipeline. Must be unique for this owner.",
			Of:       func(k client.Key) string { return k.Name },
			InNew:    func(k *client.NewKey) *string { return &k.Name },
			InChange: func(c *client.Change) **string { return &c.Name },
			InAudit:  func(c client.AuditChanges) *client.AuditChange[string] { return c.Name },
		},
	}
}

// NewFlags are the texts as flags of keys create.
type NewFlags struct {
	Name string `required:"" placeholder:"NAME" help:"Name of the key, unique among its owner's."`
}

// NewKey is a key with these texts.
func (f NewFlags) NewKey() client.NewKey {
	return client.NewKey{Name: f.Name}
}

// ChangeFlags are the texts as flags of keys update.
type ChangeFlags struct {
	Name *string `placeholder:"NAME" help:"Another name."`
}

// Change is a change to these texts.
func (f ChangeFlags) Change() client.Change {
	return client.Change{Name: f.Name}
}

// Settings are those of a key to create, for the rules of keys. Scopes and rate limit must not
// be nil.
func Settings(k client.NewKey, owner string) apikey.Settings {
	return apikey.Settings{
		Owner: owner, Name: k.Name, ExpiresAt: k.ExpiresAt, Scopes: *k.Scopes, Metadata: k.Metadata,
		RateLimit: apikey.RateLimit(*k.RateLimit),
	}
}
