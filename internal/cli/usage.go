package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// explainUsage adds suggestions to the parser's errors.
func explainUsage(err error, args []string) string {
	text := err.Error()
	failure, ok := errors.AsType[*kong.ParseError](err)
	if !ok || failure.Context == nil {
		return text
	}
	command := failure.Context.Selected()
	if command == nil || !command.Leaf() {
		return text
	}
	if word, found := strings.CutPrefix(text, "unexpected argument "); found {
		return text + suggestQuotes(command.Name, word, args)
	}
	for _, argument := range command.Positional {
		if text == fmt.Sprintf(`expected "<%s>"`, argument.Name) {
			text += ": " + strings.ToLower(argument.Help[:1]) + strings.TrimSuffix(argument.Help[1:], ".")
			if example := firstExample(command.Detail); example != "" {
				text += "; for example: " + example
			}
		}
	}
	return text
}

// suggestQuotes suggests quotes around a text with spaces that the shell split into several arguments.
func suggestQuotes(command, word string, args []string) string {
	i := slices.Index(args, word)
	if i < 1 || args[i-1] == command || strings.HasPrefix(args[i-1], "-") {
		return ""
	}
	words := args[i-1:]
	if end := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "-") }); end > 0 {
		words = words[:end]
	}
	return fmt.Sprintf("; if it belongs to the word before, put quotes around both: %q", strings.Join(words, " "))
}

// firstExample is the first command of a help text.
func firstExample(help string) string {
	for line := range strings.Lines(help) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "apikeyd ") {
			return line
		}
	}
	return ""
}
