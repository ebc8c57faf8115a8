package cli

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"apikeyd/internal/draft"
)

// Every command's help has examples, and each is a valid command line.
func TestExamplesInHelp(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, draft.WritePrivate("admin.key", "")) // conformance requires it
	app := newParser(io.Discard, io.Discard)
	err := kong.Visit(app.Model.Node, func(n kong.Visitable, next kong.Next) error {
		node, ok := n.(*kong.Node)
		if !ok || !node.Leaf() || node.Hidden || node.Name == "version" {
			return next(nil)
		}
		_, examples, _ := strings.Cut(node.Detail, "Examples:\n")
		lines := exampleCommands(examples)
		if len(lines) == 0 {
			t.Errorf("%s --help has no examples", node.FullPath())
		}
		for _, words := range lines {
			if !strings.HasPrefix(strings.Join(words, " ")+" ", strings.TrimPrefix(node.FullPath(), "apikeyd ")+" ") {
				t.Errorf("%s --help shows another command: %q", node.FullPath(), words)
			}
			if _, err := newParser(io.Discard, io.Discard, words...).Parse(words); err != nil {
				t.Errorf("%s --help: %q: %v", node.FullPath(), words, err)
			}
		}
		return next(nil)
	})
	must(t, err)
}

// A parser that was given the beginning of a command line knows the same about its command as one that
// knows all commands.
func TestParserOfOneCommand(t *testing.T) {
	t.Parallel()
	all := newParser(io.Discard, io.Discard)
	must(t, kong.Visit(all.Model.Node, func(n kong.Visitable, next kong.Next) error {
		node, ok := n.(*kong.Node)
		if !ok || node.Parent == nil {
			return next(nil)
		}
		words := strings.Fields(node.FullPath())[1:]
		one := newParser(io.Discard, io.Discard, words...).Model.Node
		for _, word := range words {
			at := slices.IndexFunc(one.Children, func(child *kong.Node) bool { return child.Name == word })
			if at < 0 {
				t.Fatalf("the parser of %q does not know it", words)
			}
			one = one.Children[at]
		}
		if got, want := reference(one), reference(node); got != want {
			t.Errorf("the parser of %q knows\n%s\nand not\n%s", words, got, want)
		}
		return next(nil)
	}))
}

// Flags that read the same environment variable have the same default, in every command.
func TestDefaultsAgree(t *testing.T) {
	t.Parallel()
	defaults := map[string]string{"APIKEYD_DATABASE": defaultDatabase, "APIKEYD_PROFILE": defaultProfile}
	must(t, kong.Visit(newParser(io.Discard, io.Discard).Model.Node, func(n kong.Visitable, next kong.Next) error {
		flag, ok := n.(*kong.Flag)
		if !ok || !flag.HasDefault {
			return next(nil)
		}
		for _, variable := range flag.Envs {
			if other, seen := defaults[variable]; seen && other != flag.Default {
				t.Errorf("the default of %s is both %q and %q", variable, other, flag.Default)
			}
			defaults[variable] = flag.Default
		}
		return next(nil)
	}))
	if defaults["APIKEYD_LISTEN"] == "" {
		t.Error("no flag with APIKEYD_LISTEN was seen")
	}
}

var (
	exampleCommand = regexp.MustCompile(`(?m)\bapikeyd ([^|&)<>\n]+)`)
	exampleWord    = regexp.MustCompile(`"[^"]*"|\S+`)
)

// exampleCommands returns the arguments of each apikeyd command in shell text.
func exampleCommands(text string) [][]string {
	text = strings.ReplaceAll(text, "\\\n", "")
	text = regexp.MustCompile(`(?m)^ *#.*$|pass show apikeyd`).ReplaceAllString(text, "")
	var commands [][]string
	for _, groups := range exampleCommand.FindAllStringSubmatch(text, -1) {
		var words []string
		for _, word := range exampleWord.FindAllString(groups[1], -1) {
			words = append(words, strings.Trim(word, `"`))
		}
		commands = append(commands, words)
	}
	return commands
}
