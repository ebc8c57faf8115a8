package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

type manCommand struct{}

// Help explains the command.
func (manCommand) Help() string {
	return `Examples:

    # read it
    apikeyd man | man -l -

    # install it, as make install does
    apikeyd man > /usr/local/share/man/man1/apikeyd.1`
}

// Run prints the manual page.
func (manCommand) Run(s streams) error {
	_, err := io.WriteString(s.out, manual(newParser(io.Discard, io.Discard).Model.Node, readBuild().Version))
	return err
}

// manual returns one page for all commands, in the macros of man(7). It has no date, so that one version has one page.
func manual(program *kong.Node, version string) string {
	var page manualPage
	page.line(`.TH APIKEYD 1 "" "apikeyd %s" "User Commands"`, roff(version))
	page.line(".SH NAME\napikeyd \\- an API key service")
	page.line(".SH SYNOPSIS\n.B apikeyd\n.I command\n[\\fIflags\\fR]")
	page.line(".SH DESCRIPTION")
	page.text(program.Help)
	page.text("Each command has the flag --help.")
	page.line(".SH COMMANDS")
	for _, command := range program.Leaves(true) {
		page.command(command)
	}
	page.line(".SH EXIT STATUS")
	for _, status := range []struct {
		code    int
		meaning string
	}{
		{exitOK, "It is done."},
		{exitFailure, "It failed, or a check found something; standard error says what."},
		{exitUsage, "The command line or a setting is invalid; nothing was done."},
		{exitInterrupted, "It was interrupted."},
	} {
		page.line(".TP\n.B %d\n%s", status.code, roff(status.meaning))
	}
	return page.String()
}

type manualPage struct{ strings.Builder }

func (p *manualPage) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// text writes paragraphs. Indented ones are shown as they are.
func (p *manualPage) text(text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		begin, end := ".PP\n", ""
		if strings.HasPrefix(paragraph, " ") {
			begin, end = ".PP\n.nf\n", "\n.fi"
		}
		p.line("%s%s%s", begin, roff(paragraph), end)
	}
}

func (p *manualPage) command(command *kong.Node) {
	p.line(".SS %s", roff(strings.TrimPrefix(command.Summary(), "apikeyd ")))
	p.line("%s", roff(command.Help))
	if command.Detail != "" {
		p.text(command.Detail)
	}
	for _, argument := range command.Positional {
		p.line(".TP\n\\fI%s\\fR\n%s", roff(argument.Name), roff(argument.Help))
	}
	for _, flag := range command.Flags {
		if flag.Hidden || flag.Name == "help" {
			continue
		}
		name := "--" + flag.Name
		if !flag.IsBool() {
			name += "=" + flag.FormatPlaceHolder()
		}
		p.line(".TP\n\\fB%s\\fR\n%s", roff(name), roff(flag.Help))
		for _, variable := range flag.Envs {
			p.line("Environment: %s.", roff(variable))
		}
	}
}

// roff returns text as roff shows it unchanged: "-" alone would be a hyphen, a dot or quote at the start of a line a
// request, and only ASCII is read alike everywhere.
func roff(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case (r == '.' || r == '\'') && (i == 0 || text[i-1] == '\n'):
			b.WriteString(`\&` + string(r))
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r >= utf8.RuneSelf:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
