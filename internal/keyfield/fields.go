// Package keyfield describes the fields of a key to people. The console and the command line share it.
package keyfield

import (
	"cmp"
	"strings"

	"apikeyd/apikey"
	"apikeyd/client"
)

// Text is a field of a key that is a line of text. The console shows each one in the form, on the page
// and in the history of a key; keys create, update and get have each one too. Other fields (expiry,
// scopes, metadata, rate limit, quota, networks) have their own code there.
type Text struct {
	Name     string // in the contract and in forms
	Help     string // in forms
	Required bool

	Of       func(client.Key) string
	InNew    func(*client.NewKey) *string
	InChange func(*client.Change) **string
	InAudit  func(client.AuditChanges) *client.AuditChange[string]
}

// Label returns the label within a line.
func (t Text) Label() string { return strings.ReplaceAll(t.Name, "_", " ") }

// Heading returns the label at the start of a line.
func (t Text) Heading() string { return strings.ToUpper(t.Name[:1]) + t.Label()[1:] }

// Flag returns the command line flag.
func (t Text) Flag() string { return "--" + strings.ReplaceAll(t.Name, "_", "-") }

// Texts returns all of them in the order of display. The first one is the name.
func Texts() []Text {
	return []Text{
		{
			Name: "name", Required: true,
			Help:     "What it is for, such as ci-pipeline. Must be unique for this owner.",
			Of:       func(k client.Key) string { return k.Name },
			InNew:    func(k *client.NewKey) *string { return &k.Name },
			InChange: func(c *client.Change) **string { return &c.Name },
			InAudit:  func(c client.AuditChanges) *client.AuditChange[string] { return c.Name },
		},
	}
}

// Labels returns the labels of all texts, separated by commas.
func Labels() string {
	var labels []string
	for _, text := range Texts() {
		labels = append(labels, text.Label())
	}
	return strings.Join(labels, ", ")
}

// NewFlags are the flags of keys create for the texts.
type NewFlags struct {
	Name string `required:"" placeholder:"NAME" help:"Name of the key, unique among its owner's."`
}

// NewKey returns a key with these texts and nothing else.
func (f NewFlags) NewKey() client.NewKey {
	return client.NewKey{
		Name: f.Name,
	}
}

// ChangeFlags are the flags of keys update for the texts.
type ChangeFlags struct {
	Name *string `placeholder:"NAME" help:"Another name."`
}

// Change returns a change of these texts and nothing else.
func (f ChangeFlags) Change() client.Change {
	return client.Change{
		Name: f.Name,
	}
}

// Settings returns the settings of a new key, to check them against the rules of keys. Scopes, rate
// limit, quota and networks must not be nil.
func Settings(k client.NewKey, owner string) apikey.Settings {
	return apikey.Settings{
		Owner:     owner,
		Name:      k.Name,
		ExpiresAt: k.ExpiresAt,
		Scopes:    *k.Scopes,
		Metadata:  k.Metadata,
		RateLimit: apikey.RateLimit(*k.RateLimit),
		Suspended: k.Enabled != nil && !*k.Enabled,
		Quota:     QuotaOf(*k.Quota),

		AllowedCIDRs: apikey.ParseCIDRs(*k.AllowedCIDRs),
		ObserveCIDRs: apikey.ParseCIDRs(*k.ObserveCIDRs),
	}
}

// QuotaOf returns a quota in terms of the rules of keys.
func QuotaOf(q client.Quota) apikey.Quota {
	if q == (client.Quota{}) {
		return apikey.Quota{}
	}
	return apikey.Quota{Limit: q.Limit, Period: apikey.Period(q.Period), StartsOn: cmp.Or(q.StartsOn, 1)}
}
