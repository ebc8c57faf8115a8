package cli

import (
	"embed"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// The scripts are a few lines each: they ask the program itself, so that what they offer
// is what it takes.
//
//go:embed completion/apikeyd.*
var completionScripts embed.FS

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help teaches the command.
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

// completeCommand answers the scripts: with the words that can stand in place of the last
// one, each followed by a tab and what it is for; or with ":files".
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

// completion walks the words of a command line that stand before the one to complete.
type completion struct {
	out     io.Writer
	node    *kong.Node // the command so far
	flag    *kong.Flag // that waits for its value
	plain   bool       // after --, where nothing is a flag
	args    int        // how many arguments the command has so far
	written error
}

// pass goes past a word.
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

// command is the subcommand of that name, or nil.
func (c *completion) command(name string) *kong.Node {
	for _, child := range c.node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// valued is the flag of that name, if it takes a value.
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

// offer writes what can stand in place of a word that was begun.
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

// arguments offers subcommands, or what the next argument may be.
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

// values offers what a flag or an argument takes: what its tags say.
func (c *completion) values(v *kong.Value, before, word string) {
	kind := v.Tag.Get("complete")
	switch {
	case v.Enum != "":
		kind = v.Enum
	case kind == "" && strings.Contains(v.Tag.PlaceHolder, "FILE"), kind == "files":
		c.write("", ":files", "", "")
		return
	case kind == "profiles":
		names, _ := profileNames() // nobody can be told
		kind = strings.Join(names, ",")
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
