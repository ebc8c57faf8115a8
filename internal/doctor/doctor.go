// Package doctor finds what is wrong with a deployment: its settings, its files and its database.
package doctor

import (
	"context"
	"fmt"

	"apikeyd/apikey"
	"apikeyd/internal/service"
	"apikeyd/store/sqlstore"
)

// Deployment is a deployment.
type Deployment struct {
	service.Config
	Refusal error // why no server takes its settings; nil if one does

	// Recount counts the keys anew if key_counts is wrong. Nil leaves that be.
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

// Finding is what a check found, and what to do about it.
type Finding struct {
	Check  string   `json:"check"`
	Status Severity `json:"status"`
	Found  string   `json:"found"`
	ToDo   string   `json:"to_do,omitempty"`
}

// check is one thing that the doctor looks at.
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

// Examine makes all checks, and returns what each found. Beside a running server or not, it
// only looks.
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
		f.Check, f.Found = check.name, apikey.Redact(f.Found) // a secret typed in the wrong place
		findings = append(findings, f)
	}
	return findings
}

// outside are the checks of what is around the database.
func (d Deployment) outside() []check {
	return []check{
		{"configuration", d.checkConfiguration},
		{"certificate", d.checkCertificate},
		{"files", d.checkFiles},
		{"admin key", d.checkAdminKey},
		{"server", d.checkServer},
		{"file system", d.checkFileSystem},
		{"disk space", d.checkDiskSpace},
		{"open files", checkOpenFiles},
	}
}

// inside are the checks of the database itself. More of them go here.
func (d Deployment) inside(e *sqlstore.Examination) []check {
	return []check{
		{"schema", look(e, checkSchema)},
		{"settings", look(e, checkSettings)},
		{"integrity", look(e, checkIntegrity)},
		{"keys", look(e, ofThisSchema(checkKeys))},
		{"key counts", look(e, ofThisSchema(d.checkCounts))},
		{"audit log", look(e, ofThisSchema(checkAudit))},
		{"restore", look(e, ofThisSchema(d.checkRestored))},
		{"clock", look(e, checkClock)},
	}
}

func look(e *sqlstore.Examination, check func(context.Context, *sqlstore.Examination) Finding) func(context.Context) Finding {
	return func(ctx context.Context) Finding { return check(ctx, e) }
}
