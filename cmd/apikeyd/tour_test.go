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
	blocks := tourBlocks(string(readme))
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

type tourBlock struct {
	text    string
	refused bool
}

// tourBlocks returns the shell blocks below the tour's heading.
func tourBlocks(readme string) []tourBlock {
	var blocks []tourBlock
	inTour, inBlock, inOther := false, false, false
	for line := range strings.Lines(readme) {
		trimmed := strings.TrimSpace(line)
		switch {
		case inBlock && trimmed == "```":
			inBlock = false
		case inBlock:
			blocks[len(blocks)-1].text += line
		case inOther && trimmed == "```":
			inOther = false
		case inOther:
		case strings.HasPrefix(line, "## "):
			inTour = trimmed == "## A tour with curl"
		case inTour && (trimmed == "```sh" || trimmed == "```sh refused"):
			inBlock = true
			blocks = append(blocks, tourBlock{refused: trimmed == "```sh refused"})
		case strings.HasPrefix(trimmed, "```"):
			inOther = true
		}
	}
	return blocks
}
