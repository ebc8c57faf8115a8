//go:build full

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"apikeyd/internal/testkit/program"
)

// The program in docs/audit.md agrees with an export, and not with one that was tampered with.
func TestAuditProgram(t *testing.T) {
	t.Parallel()
	python := program.Path(t, "python3")
	_, export := serveEvents(t)
	lines := strings.Split(strings.TrimSuffix(export, "\n"), "\n")
	var last exportLine
	must(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	want := fmt.Sprintf("main:%d:%s\n", len(lines), last.Hash)
	run := func(export string) (string, error) {
		cmd := exec.Command(python, "-c", auditDocument(t, "python"))
		cmd.Stdin = strings.NewReader(export)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	if got, err := run(export); err != nil || got != want {
		t.Errorf("the program says %q (%v), want %q", got, err, want)
	}
	if got, err := run(auditDocument(t, "json") + "\n"); err != nil || !strings.HasPrefix(got, "main:1:") {
		t.Errorf("of the example the program says %q (%v)", got, err)
	}
	for _, tampered := range []string{
		strings.Replace(export, `"via":"keys create"`, `"via":"http"`, 1),
		strings.Replace(export, "\n", "\n\n", 1),
		export[:strings.Index(export, "\n")+1] + export[strings.LastIndex(strings.TrimSuffix(export, "\n"), "\n")+1:],
	} {
		if got, err := run(tampered); err == nil {
			t.Errorf("the program takes what was tampered with, and says %q", got)
		}
	}
}
