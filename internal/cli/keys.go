package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"apikeyd/client"
)

// keysCommands manage keys, on a server or in a database.
type keysCommands struct {
	Create  createCommand  `cmd:"" help:"Create a key and print only its secret on standard output."`
	List    listCommand    `cmd:"" help:"List keys, newest first."`
	Get     getCommand     `cmd:"" help:"Show one key."`
	Update  updateCommand  `cmd:"" help:"Change a key's ${texts}, expiry, scopes, metadata, rate limit, quota or networks."`
	Review  reviewCommand  `cmd:"" help:"Show what a key was used for, and propose the narrower key."`
	Rotate  rotateCommand  `cmd:"" help:"Give a key a new secret and print only that on standard output."`
	Suspend suspendCommand `cmd:"" help:"Suspend a key: it is refused until keys resume."`
	Resume  resumeCommand  `cmd:"" help:"End the suspension of a key."`
	Revoke  revokeCommand  `cmd:"" help:"Revoke a key permanently."`
	Usage   usageCommand   `cmd:"" help:"Show how often a key was verified, or all keys, and with which code."`
	Open    openCommand    `cmd:"" help:"Open a sealed secret with your age identity and print only that on standard output."`
	Verify  verifyCommand  `cmd:"" help:"Check whether a secret is valid. It is read from standard input, a prompt or a file."`
}

// Help says where the commands look for keys.
func (keysCommands) Help() string { return whereKeysAre }

// keyFlags name the key that a command is about.
type keyFlags struct {
	Owner    *string `placeholder:"OWNER" help:"The key's owner, if not you; on a server this needs keys:admin. In a database, a name without it refers to admin's keys."`
	NameOrID string  `arg:"" name:"key" help:"Name or id of the key."`
}

// explain words an error about the key that the flags name. It suggests --owner if another owner has a
// key of that name.
func (f keyFlags) explain(ctx context.Context, keys keyring, err error) error {
	told := explain(err, keys.whose(f.Owner), f.NameOrID)
	if f.Owner != nil || client.CodeOf(err) != client.CodeKeyNotFound {
		return told
	}
	switch owners := ownersOf(ctx, keys, f.NameOrID); len(owners) {
	case 0:
		return told
	case 1:
		return fmt.Errorf("%s has no key named %q, but %s has; say --owner %q",
			keys.whose(nil), printable(f.NameOrID), printable(owners[0]), printable(owners[0]))
	default:
		return fmt.Errorf("%s has no key named %q, but other owners have, such as %s; say whose with --owner",
			keys.whose(nil), printable(f.NameOrID), printable(strings.Join(owners, " and ")))
	}
}

// ownersOf finds some owners of keys with this name.
func ownersOf(ctx context.Context, keys keyring, name string) []string {
	const most, mostSeen = 3, 1000
	var owners []string
	seen := 0
	for key, err := range keys.list(ctx, nil, client.ListOptions{NameContains: name}) {
		if seen++; err != nil || seen > mostSeen || len(owners) == most {
			break // it is only a hint
		}
		if key.Name == name && !slices.Contains(owners, key.Owner) {
			owners = append(owners, key.Owner)
		}
	}
	return owners
}

// jsonFlag chooses the format of standard output.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print what the API would answer, for programs."`
}

// ref is the key that the flags name.
func (f keyFlags) ref() keyRef { return keyRef{owner: f.Owner, nameOrID: f.NameOrID} }

// show prints a key to a person or a program.
func (f jsonFlag) show(s streams, key client.Key) error {
	if !f.JSON {
		return printKey(s.out, key, time.Now())
	}
	return printJSON(s.out, key)
}

// recipientFlag names who is to have a new secret.
type recipientFlag struct {
	Recipient string `placeholder:"AGE-KEY" help:"The age public key of whoever is to have the secret: prints the secret sealed, and only its owner can open it, with apikeyd keys open or age."`
}

// hand prints a new secret, which cannot be shown again: alone, so that scripts can use it. Done says
// what happened to the key.
func (f jsonFlag) hand(s streams, k client.CreatedKey, done string) (err error) {
	switch {
	case f.JSON:
		err = printJSON(s.out, struct {
			client.Key
			Secret       string `json:"secret,omitzero"`
			SealedSecret string `json:"sealed_secret,omitzero"`
		}{k.Key, k.Secret.Reveal(), k.SealedSecret})
	case k.SealedSecret != "":
		_, err = fmt.Fprint(s.out, k.SealedSecret)
	default:
		_, err = fmt.Fprintln(s.out, k.Secret.Reveal())
	}
	if err != nil {
		return fmt.Errorf("the key %[1]s was %[2]s, but its secret is lost: %[3]w; on the same server or database, "+
			"run apikeyd keys rotate %[1]s for another secret, or apikeyd keys revoke %[1]s", k.ID, done, err)
	}
	return nil
}

// rateLimit returns the limit that the flags set, or nil.
func rateLimit(limit *rateFlag, none bool) *client.RateLimit {
	if none {
		return &client.RateLimit{}
	}
	return (*client.RateLimit)(limit)
}

// quota returns the quota that the flags set, or nil.
func quota(quota *quotaFlag, none bool) *client.Quota {
	if none {
		return &client.Quota{}
	}
	return (*client.Quota)(quota)
}

// replacement returns the list that the flags set, or nil.
func replacement(given []string, none bool) *[]string {
	if none {
		return &[]string{}
	}
	if given == nil {
		return nil
	}
	return &given
}

// typedFlags returns the flags that were typed, as opposed to set in the environment.
func typedFlags(ctx *kong.Context) map[string]bool {
	typed := make(map[string]bool)
	for _, element := range ctx.Path {
		if element.Flag != nil {
			typed[element.Flag.Name] = true
		}
	}
	return typed
}

// withKeys opens the keys that the flags name, and runs do.
func (t *target) withKeys(ctx context.Context, s streams, do func(keyring) error) (err error) {
	keys, err := t.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.close()) }()
	return do(keys)
}
