package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The README's tour, pasted in order into one shell beside a fresh server. A block
// marked "sh refused" must show an error; no other block may.
func TestTour(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if _, ci := os.LookupEnv("CI"); ci {
			t.Fatal("curl is missing")
		}
		t.Skip("the tour needs curl, which this machine does not have")
	}
	readme, err := os.ReadFile("../../README.md")
	must(t, err)
	blocks := shellBlocks(string(readme), "## A tour with curl")
	if len(blocks) == 0 {
		t.Fatal("the README has no tour")
	}
	s := serve(t, t.TempDir())
	const mark = "=== end of block ==="
	var script strings.Builder
	for _, block := range blocks {
		fmt.Fprintf(&script, "%s\necho '%s'\n", strings.ReplaceAll(block.text, "http://127.0.0.1:8080", s.url), mark)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	shell.Dir = s.dir
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	outputs := strings.Split(string(out), mark)
	for i, block := range blocks {
		isError := regexp.MustCompile(`"status": ?[45]\d\d`).MatchString(outputs[i])
		if isError != block.refused {
			t.Errorf("block %d shows an error: %t, want %t\n%s\n%s", i+1, isError, block.refused, block.text, outputs[i])
		}
	}
}

// The commands of docs/cli.md, pasted in order into one shell beside a fresh server. A
// block marked "sh refused" must fail; no other command may.
func TestCommandLinePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/cli.md")
	must(t, err)
	s := serve(t, t.TempDir())
	var script strings.Builder
	for _, block := range shellBlocks(string(page), "") {
		text := strings.ReplaceAll(block.text, "http://127.0.0.1:8080", s.url)
		if block.refused {
			text = fmt.Sprintf("if (\n%s); then echo 'it was not refused' >&2; exit 1; fi\n", text)
		}
		script.WriteString(text)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-xeuo", "pipefail", "-c", script.String())
	shell.Dir = s.dir
	shell.Env = append(os.Environ(), "HOME="+s.dir) // TestMain has put apikeyd on the path
	if out, err := shell.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

type shellBlock struct {
	text    string
	refused bool
}

// shellBlocks returns the shell blocks of a page, or of what is below one heading.
func shellBlocks(page, heading string) []shellBlock {
	var blocks []shellBlock
	below, inBlock, inOther := heading == "", false, false
	for line := range strings.Lines(page) {
		trimmed := strings.TrimSpace(line)
		switch {
		case inBlock && trimmed == "```":
			inBlock = false
		case inBlock:
			blocks[len(blocks)-1].text += line
		case inOther && trimmed == "```":
			inOther = false
		case inOther:
		case heading != "" && strings.HasPrefix(line, "## "):
			below = trimmed == heading
		case below && (trimmed == "```sh" || trimmed == "```sh refused"):
			inBlock = true
			blocks = append(blocks, shellBlock{refused: trimmed == "```sh refused"})
		case strings.HasPrefix(trimmed, "```"):
			inOther = true
		}
	}
	return blocks
}
