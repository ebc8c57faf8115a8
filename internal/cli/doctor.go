package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"apikeyd/internal/doctor"
	"apikeyd/internal/service"
)

// doctorCommand looks for what is wrong, with the flags and the environment of serve.
type doctorCommand struct {
	serveCommand
	JSON   bool `name:"json" help:"Print JSON."`
	Repair bool `help:"Recount the keys if key_counts is wrong, in one transaction; a server may run meanwhile."`
}

// Help says more than the flags do.
func (doctorCommand) Help() string {
	return `Takes the settings of serve, to check what serve would use. It only reads (except with --repair), and a server may run
meanwhile. A million keys take some seconds. It exits with 1 if a check failed; warnings do not count.

Examples:
  apikeyd doctor --database /var/lib/apikeyd/apikeyd.db
  apikeyd doctor --json | jq '.checks[] | select(.status != "ok")'`
}

// Validate refuses only what makes checks impossible. Everything else becomes a finding.
func (c *doctorCommand) Validate() error { return errors.Join(c.databaseFlag.Validate(), c.file()) }

// errUnwell ends the command after it has reported failures.
var errUnwell = errors.New("something failed; see above")

// Run makes all checks and prints the findings.
func (c *doctorCommand) Run(ctx context.Context, s streams) error {
	deployment := doctor.Deployment{
		Config:  service.Config{Database: c.Database, Settings: c.Settings},
		Refusal: c.serveCommand.Validate(),
	}
	if c.Repair {
		deployment.Recount = c.recount
	}
	findings, err := doctor.Examine(ctx, deployment)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return errors.New("interrupted")
	}
	if err := c.report(s.out, findings); err != nil {
		return err
	}
	if doctor.Worst(findings) == doctor.Failed {
		return errUnwell
	}
	return nil
}

func (c *doctorCommand) recount(ctx context.Context) (err error) {
	db, err := openStore(ctx, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Recount(ctx)
}

func (c *doctorCommand) report(w io.Writer, findings []doctor.Finding) error {
	if c.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(struct {
			Status doctor.Severity  `json:"status"` // the worst of all
			Checks []doctor.Finding `json:"checks"`
		}{doctor.Worst(findings), findings})
	}
	for _, f := range findings {
		line := fmt.Sprintf("%-8s %-14s %s", f.Status, f.Check, f.Found)
		if f.ToDo != "" {
			line += "; " + f.ToDo
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
