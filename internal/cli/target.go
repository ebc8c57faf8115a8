package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"apikeyd/apikey"
)

const whereKeysAre = `Where the keys are; the first one given wins:

    1. --database FILE, --url URL or --profile NAME
    2. APIKEYD_DATABASE, APIKEYD_URL or APIKEYD_PROFILE; two of them are refused
    3. the profile "default", if apikeyd login created one
    4. the database apikeyd.db in this folder

With --url your own key comes from APIKEYD_KEY, --key-file FILE, standard input (--key-file -) or a prompt. A profile has its own key, and a database needs none: anyone with write access to it may do everything.

Exit statuses: 0 done, 1 failed or refused, 2 invalid command line, 130 interrupted.`

// target says where the keys are: in a database or on a server.
type target struct {
	Database string        `group:"Where the keys are:" env:"APIKEYD_DATABASE" placeholder:"FILE" help:"In this SQLite file, or at this postgres:// URL; a server may run meanwhile (apikeyd.db if nothing else is given)."`
	URL      string        `group:"Where the keys are:" name:"url" env:"APIKEYD_URL" placeholder:"URL" help:"On this server, such as https://keys.example.com, or unix:PATH."`
	Profile  string        `group:"Where the keys are:" env:"APIKEYD_PROFILE" placeholder:"NAME" complete:"profiles" help:"On the server of this profile, created by apikeyd login (default, if there is one)."`
	Own      ownKeyFlags   `embed:"" group:"Where the keys are:"`
	Timeout  time.Duration `group:"Where the keys are:" default:"15s" placeholder:"DURATION" help:"How long to wait for each answer of a server (${default})."`

	place   string        // the flag that applies; empty if none was given
	command string        // such as "keys create"
	newKeys apikey.Policy // for new and changed keys in a database
}

// ownKeyFlags say where the caller's own secret is. It is never an argument.
type ownKeyFlags struct {
	Key     string `env:"APIKEYD_KEY" placeholder:"@FILE" help:"Your own key, in a file as for --key-file; the secret itself is accepted only from the environment."`
	KeyFile string `placeholder:"FILE" help:"Your own key is in this file; - is standard input."`
}

// AfterApply chooses the place, and refuses flags that do not apply to it.
func (t *target) AfterApply(ctx *kong.Context) error {
	t.command = strings.TrimPrefix(ctx.Selected().FullPath(), ctx.Model.Name+" ")
	typed := typedFlags(ctx)
	if err := t.Own.check(typed); err != nil {
		return err
	}
	if t.Timeout <= 0 {
		return errors.New("--timeout must be positive")
	}
	if err := t.choose(typed); err != nil {
		return err
	}
	for _, name := range []string{"key", "key-file"} {
		if typed[name] && t.place != "url" {
			return fmt.Errorf("--%s goes with --url: a profile has its own key, a database needs none", name)
		}
	}
	for _, name := range []string{"key-prefix", "max-key-lifetime"} {
		if typed[name] && t.onServer() {
			return fmt.Errorf("--%s is for a database; a server has its own", name)
		}
	}
	switch t.place {
	case "database":
		return databaseFlag{t.Database}.Validate()
	case "url":
		return checkURL(t.URL)
	}
	return nil
}

// choose finds the flag or the environment variable that applies.
func (t *target) choose(typed map[string]bool) error {
	places := []struct{ flag, env, value string }{
		{"database", "APIKEYD_DATABASE", t.Database},
		{"url", "APIKEYD_URL", t.URL},
		{"profile", "APIKEYD_PROFILE", t.Profile},
	}
	var flags, variables []string
	for _, place := range places {
		if typed[place.flag] {
			flags = append(flags, "--"+place.flag)
			t.place = place.flag
		}
	}
	if len(flags) > 1 {
		return fmt.Errorf("%s name two places; choose one", strings.Join(flags, " and "))
	}
	if len(flags) == 1 {
		return nil
	}
	for _, place := range places {
		if _, set := os.LookupEnv(place.env); set {
			if strings.TrimSpace(place.value) == "" {
				return emptyVariable(place.env, place.flag)
			}
			variables = append(variables, place.env)
			t.place = place.flag
		}
	}
	if len(variables) > 1 {
		return fmt.Errorf("%s are both set; choose one place with --database, --url or --profile",
			strings.Join(variables, " and "))
	}
	return nil
}

func (t *target) onServer() bool { return t.place == "url" || t.place == "profile" }

// readsStdin reports whether the caller's own key comes from standard input.
func (t *target) readsStdin() bool {
	return t.Own.KeyFile == stdinName || t.Own.Key == "@"+stdinName
}

// open opens the place.
func (t *target) open(ctx context.Context, s streams) (keyring, error) {
	switch t.place {
	case "url":
		secret, err := t.Own.secret(ctx, s, "Your key for "+printable(t.URL)+": ")
		if err != nil {
			return keyring{}, err
		}
		return openServer(profile{url: t.URL, key: secret}, t.Timeout)
	case "profile":
		p, err := loadProfile(t.Profile)
		if errors.Is(err, fs.ErrNotExist) {
			return keyring{}, fmt.Errorf("there is no profile %q; create it with apikeyd login --profile", t.Profile)
		}
		if err != nil {
			return keyring{}, err
		}
		return openServer(p, t.Timeout)
	case "":
		p, err := loadProfile(defaultProfile)
		if err == nil {
			return openServer(p, t.Timeout)
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoPlace) {
			return keyring{}, fmt.Errorf("%w; or say where the keys are: --database, --url or --profile", err)
		}
		t.Database = defaultDatabase
	}
	return openDatabase(ctx, t.Database, t.newKeys, t.command)
}

// check refuses a secret as an argument, which is visible in the process list and the shell's history.
func (f *ownKeyFlags) check(typed map[string]bool) error {
	file, named := strings.CutPrefix(f.Key, "@")
	switch {
	case typed["key"] && typed["key-file"]:
		return errors.New("--key and --key-file both name your own key; choose one")
	case typed["key"] && !named:
		return errors.New("--key takes @FILE, not a secret: all users of this machine can read arguments; " +
			"put the secret into APIKEYD_KEY or a file, or omit the flag to be asked")
	case typed["key"]:
		f.KeyFile = file
	}
	return nil
}

// secret returns the caller's own secret: from the file, else from the environment, else from a prompt.
func (f *ownKeyFlags) secret(ctx context.Context, s streams, question string) (apikey.Secret, error) {
	file := f.KeyFile
	if file == "" && f.Key == "" {
		if !s.in.isTerminal() {
			return apikey.Secret{}, errors.New("your own key is missing: set APIKEYD_KEY, name a file with --key-file, " +
				"or log in with apikeyd login")
		}
		file = stdinName
	}
	text, source := f.Key, "APIKEYD_KEY"
	if file != "" {
		var err error
		if text, err = s.readSecret(ctx, file, question); err != nil {
			return apikey.Secret{}, fmt.Errorf("your own key (--key-file): %w", err)
		}
		source = inputName(file)
	}
	// Malformed secrets are never sent: they may be another file or password.
	text = apikey.TrimSecret(text)
	secret, err := apikey.ParseSecret(text)
	if err != nil {
		return apikey.Secret{}, malformed(source, text)
	}
	return secret, nil
}

// malformed describes what was found in place of a secret.
func malformed(source, text string) error {
	return fmt.Errorf("%s holds %s; check that it is complete", source, apikey.WhyMalformed(text))
}
