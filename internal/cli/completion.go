package cli

import (
	"embed"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// The scripts are a few lines each: they ask the program itself, so their suggestions match its grammar.
//
//go:embed completion/apikeyd.*
var completionScripts embed.FS

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help explains the command.
func (completionCommand) Help() string {
	return `Examples:

    # bash, in ~/.bashrc
    source <(apikeyd completion bash)

    # zsh, in ~/.zshrc after compinit
    source <(apikeyd completion zsh)

    # fish, once
    apikeyd completion fish > ~/.config/fish/completions/apikeyd.fish`
}

// Run prints a script.
func (c *completionCommand) Run(s streams) error {
	script, err := completionScripts.ReadFile("completion/apikeyd." + c.Shell)
	if err != nil {
		return err
	}
	_, err = s.out.Write(script)
	return err
}

// completeCommand answers the scripts with the candidates for the last word, each followed by a tab and
// its help; or with ":files".
type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints the candidates.
func (c *completeCommand) Run(ctx *kong.Context, s streams) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	at := completion{out: s.out, node: ctx.Model.Node}
	last := len(words) - 1
	for _, word := range words[:last] {
		at.pass(word)
	}
	return at.offer(words[last])
}

// completion walks the words before the one to complete.
type completion struct {
	out     io.Writer
	node    *kong.Node // the command so far
	flag    *kong.Flag // awaits its value
	plain   bool       // after --, which ends the flags
	args    int        // how many arguments the command has so far
	written error
}

// pass consumes a word.
func (c *completion) pass(word string) {
	switch {
	case word == "=": // bash splits --flag=value there
	case c.flag != nil:
		c.flag = nil
	case c.plain:
		c.args++
	case word == "--":
		c.plain = true
	case strings.HasPrefix(word, "-"):
		if name, _, valued := strings.Cut(word, "="); !valued {
			c.flag = c.valued(name)
		}
	default:
		if child := c.command(word); child != nil {
			c.node = child
			return
		}
		c.args++
	}
}

// command returns the subcommand with this name, or nil.
func (c *completion) command(name string) *kong.Node {
	for _, child := range c.node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// valued returns the flag with this name if it takes a value.
func (c *completion) valued(name string) *kong.Flag {
	for _, group := range c.node.AllFlags(false) {
		for _, flag := range group {
			if "--"+flag.Name == name && !flag.IsBool() && !flag.IsCounter() {
				return flag
			}
		}
	}
	return nil
}

// offer writes the candidates for a word.
func (c *completion) offer(word string) error {
	name, value, valued := strings.Cut(word, "=")
	switch {
	case word == "=" && c.flag != nil:
		c.values(c.flag.Value, "", "")
	case c.flag != nil:
		c.values(c.flag.Value, "", word)
	case c.plain || !strings.HasPrefix(word, "-"):
		c.arguments(word)
	case valued:
		if flag := c.valued(name); flag != nil {
			c.values(flag.Value, name+"=", value)
		}
	default:
		c.flags(word)
	}
	return c.written
}

// arguments offers subcommands, or values of the next argument.
func (c *completion) arguments(word string) {
	for _, child := range c.node.Children {
		if !child.Hidden && !c.plain {
			c.write("", child.Name, word, child.Help)
		}
	}
	if c.args < len(c.node.Positional) {
		c.values(c.node.Positional[c.args], "", word)
	}
}

func (c *completion) flags(word string) {
	for _, group := range c.node.AllFlags(true) {
		for _, flag := range group {
			c.write("", "--"+flag.Name, word, flag.Help)
		}
	}
}

// values offers the values of a flag or an argument, as its tags list them.
func (c *completion) values(v *kong.Value, before, word string) {
	kind := v.Tag.Get("complete")
	switch {
	case v.Enum != "":
		kind = v.Enum
	case kind == "" && strings.Contains(v.Tag.PlaceHolder, "FILE"), kind == "files":
		c.write("", ":files", "", "")
		return
	case kind == "profiles":
		names, _ := profileNames() // errors cannot be shown here
		kind = strings.Join(names, ",")
	case kind == "reasons":
		kind = strings.Join(reasonNames(), ",")
	}
	for _, value := range strings.Split(kind, ",") {
		if value != "" {
			c.write(before, value, word, "")
		}
	}
}

func (c *completion) write(before, candidate, word, help string) {
	if c.written != nil || !strings.HasPrefix(candidate, word) {
		return
	}
	line := before + candidate
	if help != "" {
		line += "\t" + help
	}
	_, c.written = fmt.Fprintln(c.out, line)
}
