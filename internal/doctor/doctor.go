// Package doctor finds what is wrong with a deployment: its settings, its files and its database.
package doctor

import (
	"context"
	"fmt"

	"apikeyd/apikey"
	"apikeyd/internal/service"
	"apikeyd/internal/sso"
	"apikeyd/store/sqlstore"
)

// Deployment describes what to examine.
type Deployment struct {
	service.Config
	Refusal error // why serve refuses the settings; nil if it accepts them

	// Recount recounts the keys if key_counts is wrong. Nil only reports it.
	Recount func(context.Context) error
}

// Severity is how bad a finding is.
type Severity string

// The severities, from good to bad.
const (
	Healthy Severity = "ok"
	Warning Severity = "warning"
	Failed  Severity = "FAILED"
)

// Finding is the result of a check, and what to do about it.
type Finding struct {
	Check  string   `json:"check"`
	Status Severity `json:"status"`
	Found  string   `json:"found"`
	ToDo   string   `json:"to_do,omitempty"`
}

// check is one check.
type check struct {
	name string
	look func(context.Context) Finding
}

func found(format string, args ...any) Finding {
	return Finding{Status: Healthy, Found: fmt.Sprintf(format, args...)}
}

func (f Finding) warn(toDo string) Finding {
	f.Status, f.ToDo = Warning, toDo
	return f
}

func (f Finding) fail(toDo string) Finding {
	f.Status, f.ToDo = Failed, toDo
	return f
}

// Examine makes all checks. It only reads, and a server may run meanwhile.
func Examine(ctx context.Context, d Deployment) ([]Finding, error) {
	findings := runChecks(ctx, d.outside())
	e, err := sqlstore.Examine(ctx, d.Database)
	if err != nil {
		database := check{"database", func(context.Context) Finding { return unreadable(err) }}
		return append(findings, runChecks(ctx, []check{database})...), nil
	}
	findings = append(findings, runChecks(ctx, d.inside(e))...)
	return findings, e.Close()
}

// Worst returns the worst severity of all.
func Worst(findings []Finding) Severity {
	worst := Healthy
	for _, f := range findings {
		if f.Status == Failed || f.Status == Warning && worst == Healthy {
			worst = f.Status
		}
	}
	return worst
}

func runChecks(ctx context.Context, checks []check) []Finding {
	findings := make([]Finding, 0, len(checks))
	for _, check := range checks {
		f := check.look(ctx)
		f.Check, f.Found = check.name, apikey.Redact(f.Found) // the user may have put a secret in the wrong place
		findings = append(findings, f)
	}
	return findings
}

// outside returns the checks of everything but the database's content.
func (d Deployment) outside() []check {
	checks := []check{
		{"configuration", d.checkConfiguration},
		{"certificate", d.checkCertificate},
		{"scanning keys", d.checkScanningKeys},
		{"files", d.checkFiles},
		{"admin key", d.checkAdminKey},
		{"server", d.checkServer},
		{"file system", d.checkFileSystem},
		{"disk space", d.checkDiskSpace},
		{"open files", checkOpenFiles},
	}
	if provider, err := d.Provider(); provider != nil || err != nil {
		checks = append(checks, check{"single sign-on", func(ctx context.Context) Finding { return checkProvider(ctx, provider, err) }})
	}
	return checks
}

// checkProvider asks the identity provider about itself, as the server does when somebody signs in.
func checkProvider(ctx context.Context, provider *sso.Provider, err error) Finding {
	if err != nil {
		return found("%s", err).fail("correct the file; serve does not start")
	}
	if err := provider.Check(ctx); err != nil {
		return found("%s", err).warn("check --oidc-issuer and that this machine reaches it; until then nobody signs in there")
	}
	return found("%s answers", provider.Name())
}

// inside returns the checks of the database's content.
func (d Deployment) inside(e *sqlstore.Examination) []check {
	return []check{
		{"schema", look(e, checkSchema)},
		{"settings", look(e, checkSettings)},
		{"integrity", look(e, checkIntegrity)},
		{"keys", look(e, ofThisSchema(checkKeys))},
		{"key counts", look(e, ofThisSchema(d.checkCounts))},
		{"audit log", look(e, ofThisSchema(checkAudit))},
		{"restore", look(e, ofThisSchema(d.checkRestored))},
		{"backup", look(e, ofThisSchema(checkBackup))},
		{"clock", look(e, checkClock)},
	}
}

func look(e *sqlstore.Examination, check func(context.Context, *sqlstore.Examination) Finding) func(context.Context) Finding {
	return func(ctx context.Context) Finding { return check(ctx, e) }
}
