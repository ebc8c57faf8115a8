package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"apikeyd/client"
)

// profileFlag names a profile.
type profileFlag struct {
	Profile string `default:"default" env:"APIKEYD_PROFILE" placeholder:"NAME" complete:"profiles" help:"Name of the profile (${default})."`
}

// name returns the profile's name; --profile "" means the default one.
func (f profileFlag) name() string { return cmp.Or(f.Profile, defaultProfile) }

type loginCommand struct {
	profileFlag
	URL     string        `name:"url" env:"APIKEYD_URL" placeholder:"URL" help:"The server's URL; if absent, you are asked."`
	Own     ownKeyFlags   `embed:""`
	Timeout time.Duration `default:"15s" placeholder:"DURATION" help:"How long to wait for each answer (${default})."`
}

// Help explains the command.
func (loginCommand) Help() string {
	return `Asks for the server's URL and your key, which is not shown while you type; if standard input is not a terminal, they are read from it, one per line. Both are tried before anything is stored. From then on apikeyd keys uses that server by default. The profile is in your configuration folder, readable by you alone; an older one of that name is replaced.

Examples:

    apikeyd login
    apikeyd login --profile staging --url https://keys.staging.example.com
    apikeyd login --url http://127.0.0.1:8080 --key-file admin.key
    pass show apikeyd | apikeyd login --url https://keys.example.com`
}

// AfterApply refuses a secret as an argument.
func (c *loginCommand) AfterApply(ctx *kong.Context) error { return c.Own.check(typedFlags(ctx)) }

// Run creates a profile.
func (c *loginCommand) Run(ctx context.Context, s streams) (err error) {
	if _, err := profilePath(c.name()); err != nil {
		return err
	}
	p := profile{url: c.URL}
	if p.url == "" {
		if p.url, err = s.ask(ctx, "URL of the server: "); err != nil {
			return err
		}
	}
	if err := checkURL(p.url); err != nil {
		return err
	}
	if c.Own.Key == "" && c.Own.KeyFile == "" {
		c.Own.KeyFile = stdinName
	}
	if p.key, err = c.Own.secret(ctx, s, "Your key (it is not shown): "); err != nil {
		return err
	}
	if inTheClear(p.url) {
		fmt.Fprintln(s.err, "Warning: http:// sends your key unencrypted to another machine; use https:// if you can.")
	}
	if err := p.try(ctx, c.Timeout); err != nil {
		return err
	}
	file, err := p.save(c.name())
	if err != nil {
		return fmt.Errorf("the profile could not be saved: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "Profile %s: %s with the key %s, in %s\n", c.name(), printable(p.url), p.key.Prefix(), file)
	return err
}

// try checks that the server knows the key, whatever its scopes.
func (p profile) try(ctx context.Context, timeout time.Duration) error {
	keys, err := openServer(p, timeout)
	if err != nil {
		return err
	}
	for _, err = range keys.list(ctx, nil, client.ListOptions{PageSize: 1}) {
		break
	}
	if err == nil || client.CodeOf(err) == client.CodeInsufficientScope {
		return nil
	}
	return fmt.Errorf("nothing was kept: %w", explain(err, "", ""))
}

// inTheClear reports whether a URL sends data unencrypted to another machine.
func inTheClear(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" {
		return false
	}
	address := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (address == nil || !address.IsLoopback())
}

type logoutCommand struct{ profileFlag }

// Help explains the command.
func (logoutCommand) Help() string {
	return `Removes the profile from this machine. The key still works: revoke it if no one needs it.

Examples:

    apikeyd logout
    apikeyd logout --profile staging`
}

// Run removes a profile.
func (c *logoutCommand) Run(s streams) error {
	path, err := profilePath(c.name())
	if err != nil {
		return err
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no profile %q; apikeyd profiles lists them", c.name())
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Profile %s is gone from this machine; its key still works until it is revoked\n", c.name())
	return err
}

type profilesCommand struct{}

// Help explains the command.
func (profilesCommand) Help() string {
	return `Shows each key's prefix, which is not secret.

Examples:

    apikeyd profiles`
}

// Run prints a table of profiles.
func (profilesCommand) Run(s streams) error {
	names, err := profileNames()
	if err != nil {
		return err
	}
	table := newTable(s.out)
	fmt.Fprintln(table, "NAME\tURL\tKEY")
	var failed []string
	for _, name := range names {
		p, err := loadProfile(name)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, printable(p.url), p.key.Prefix())
	}
	if err := table.Flush(); err != nil || len(failed) == 0 {
		return err
	}
	return errors.New(strings.Join(failed, "; "))
}
