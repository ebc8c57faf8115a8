package cli

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// update is given by make generate.
var update = flag.Bool("update", false, "write docs/configuration.md instead of comparing it")

// docs/configuration.md holds, below its mark, what the flags say.
func TestConfigurationReference(t *testing.T) {
	t.Parallel()
	const path, mark = "../../docs/configuration.md", "<!-- generated: make generate writes what follows -->\n"
	text, err := os.ReadFile(path)
	must(t, err)
	intro, got, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no place for the reference", path)
	}
	want := reference(newParser(io.Discard, io.Discard).Model.Node)
	if *update {
		must(t, os.WriteFile(path, []byte(intro+mark+want), 0o644))
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not what the flags say; run make generate (-want +got):\n%s", path, diff)
	}
}

// reference describes each command that has flags, in the order of --help.
func reference(program *kong.Node) string {
	var b strings.Builder
	for _, command := range program.Leaves(true) {
		rows := ""
		for _, flag := range command.Flags {
			if !flag.Hidden {
				rows += row(flag)
			}
		}
		if rows == "" {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", command.FullPath(), command.Help)
		b.WriteString("| flag | environment | default | meaning |\n|---|---|---|---|\n" + rows)
	}
	return b.String()
}

// aside is where a flag's help names its default, in whole or in words.
var aside = regexp.MustCompile(` \(([^()]+)\)([.;])`)

func row(flag *kong.Flag) string {
	name := "--" + flag.Name
	if flag.PlaceHolder != "" || !flag.HasDefault && !flag.IsBool() {
		name += "=" + flag.FormatPlaceHolder()
	}
	fallback, meaning := "", flag.Help
	if flag.HasDefault {
		fallback = code(flag.Default)
	}
	if said := aside.FindStringSubmatch(meaning); said != nil {
		if said[1] != flag.Default {
			fallback = said[1]
		}
		meaning = aside.ReplaceAllString(meaning, "$2")
	}
	if flag.Required {
		fallback = "required"
	}
	if flag.Required && len(flag.Xor) > 0 {
		fallback = "one of these is required"
	}
	environment := make([]string, len(flag.Envs))
	for i, variable := range flag.Envs {
		environment[i] = code(variable)
	}
	cells := []string{code(name), strings.Join(environment, ", "), fallback, meaning}
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func code(text string) string { return "`" + text + "`" }
