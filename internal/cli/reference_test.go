package cli

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// update is given by make generate.
var update = flag.Bool("update", false, "write docs/configuration.md instead of comparing it")

// docs/configuration.md describes the flags below its mark.
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

// reference describes each command that has flags, in the order of --help. A flag is described only
// for the first command that has it.
func reference(program *kong.Node) string {
	var b strings.Builder
	first := make(map[string]string) // the first command with a row
	for _, command := range program.Leaves(true) {
		path, rows := command.FullPath(), ""
		var others []string               // earlier commands with flags of this one
		shared := make(map[string]string) // these flags, by that command
		for _, flag := range command.Flags {
			text := row(flag)
			switch other, found := first[text]; {
			case flag.Hidden:
			case !found:
				first[text] = path
				rows += text
			case shared[other] == "":
				others = append(others, other)
				shared[other] = code("--" + flag.Name)
			default:
				shared[other] += ", " + code("--"+flag.Name)
			}
		}
		if rows == "" && others == nil {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", path, command.Help)
		if rows != "" {
			b.WriteString("\n| flag | environment | default | meaning |\n|---|---|---|---|\n" + rows)
		}
		for _, other := range others {
			fmt.Fprintf(&b, "\nAs for [%s](#%s): %s.\n", other, strings.ReplaceAll(other, " ", "-"), shared[other])
		}
	}
	return b.String()
}

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
