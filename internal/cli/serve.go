package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/alecthomas/kong"

	"apikeyd/console"
	"apikeyd/internal/keyfield"
	"apikeyd/internal/service"
	"apikeyd/internal/telemetry/metrics"
)

type serveCommand struct {
	databaseFlag
	policyFlags
	service.Settings
}

// Help explains the command.
func (serveCommand) Help() string {
	return `Examples:

    # On http://127.0.0.1:8080, with apikeyd.db and admin.key in this folder
    apikeyd serve

    # Elsewhere, and no key lives longer than 90 days
    apikeyd serve --listen 127.0.0.1:9000 --database /var/lib/apikeyd/keys.db --max-key-lifetime 90d`
}

// Validate refuses bad settings before anything is opened.
func (c *serveCommand) Validate() error {
	if err := c.CheckNumbers(); err != nil {
		return err
	}
	_, policy := c.policy()
	return errors.Join(c.databaseFlag.Validate(), policy, c.Settings.Validate())
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, s streams, command *kong.Context) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	b := readBuild()
	return service.Run(ctx, service.Config{
		Database: c.Database, Policy: policy, Settings: c.Settings, Log: s.err,
		Build: metrics.Build{Version: b.Version, Revision: b.Revision, GoVersion: b.Go},
		Shown: settingsOf(command.Selected().Flags),
	})
}

// aside is the part of a flag's help that names its default, as a value or in words.
var aside = regexp.MustCompile(` \(([^()]+)\)([.;])`)

// settingsOf returns the values of flags for the console. The database has a place of its own there, because its URL may
// hold a password.
func settingsOf(flags []*kong.Flag) (all []console.Setting) {
	for _, flag := range flags {
		if flag.Name == "database" || flag.Hidden {
			continue
		}
		text, usual := settingText(flag.Target.Interface()), flag.Default
		switch flag.Target.Interface().(type) {
		case bool:
			usual = settingText(flag.Default == "true")
		case time.Duration:
			d, _ := keyfield.ParseDuration(flag.Default) // the parser has read it
			usual = settingText(d)
		}
		all = append(all, console.Setting{
			Flag: "--" + flag.Name, Value: text, Help: aside.ReplaceAllString(flag.Help, "$2"), Changed: text != usual,
		})
	}
	return all
}

// settingText returns a flag's value as people write it.
func settingText(value any) string {
	switch value := value.(type) {
	case bool:
		if value {
			return "on"
		}
		return "off"
	case time.Duration:
		const day = 24 * time.Hour
		if value > 0 && value%day == 0 {
			return fmt.Sprintf("%dd", value/day)
		}
		return value.String()
	}
	text := fmt.Sprint(value)
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return u.Redacted()
	}
	return text
}
