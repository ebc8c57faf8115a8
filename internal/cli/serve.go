package cli

import (
	"context"
	"errors"

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
func (c *serveCommand) Run(ctx context.Context, s streams) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	b := readBuild()
	return service.Run(ctx, service.Config{
		Database: c.Database, Policy: policy, Settings: c.Settings, Log: s.err,
		Build: metrics.Build{Version: b.Version, Revision: b.Revision, GoVersion: b.Go},
	})
}
