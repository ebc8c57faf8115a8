//go:build full

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"apikeyd/internal/testkit/program"
)

// Every shell block ("sh") of each document, pasted in order and after the README's into one
// shell beside a fresh server, with its files and bin/apikeyd in the current folder, as after make run. A block
// marked "sh refused" must fail or show an error; no other block may. Commands that cannot run
// like that stand in blocks without a language.
func TestDocuments(t *testing.T) {
	t.Parallel()
	curl := program.Path(t, "curl")
	documents, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	const readme = "../../README.md"
	start, err := os.ReadFile(readme)
	must(t, err)
	found := map[string][]shellBlock{}
	run := func(name string, blocks []shellBlock) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runBlocks(t, serve(t, t.TempDir()), filepath.Dir(curl), blocks)
		})
	}
	for _, path := range append(documents, readme) {
		text, err := os.ReadFile(path)
		must(t, err)
		if blocks := shellBlocks(string(text)); len(blocks) > 0 {
			found[filepath.Base(path)] = blocks
			if path != readme {
				blocks = append(shellBlocks(string(start)), blocks...)
			}
			run(filepath.Base(path), blocks)
		}
	}
	for _, name := range []string{"README.md", "api.md", "cli.md", "operations.md", "quickstart.md", "upgrade.md"} {
		if len(found[name]) == 0 {
			t.Errorf("%s has no commands that run", name)
		}
	}
	// What a new user reads first, all in one folder.
	var first []shellBlock
	for _, name := range []string{"README.md", "quickstart.md", "api.md", "cli.md"} {
		first = append(first, found[name]...)
	}
	run("one after the other", first)
}

func runBlocks(t *testing.T, s *server, tools string, blocks []shellBlock) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	bin := filepath.Join(s.dir, "bin")
	must(t, os.Mkdir(bin, 0o700))
	must(t, os.Symlink(self, filepath.Join(bin, "apikeyd"))) // see TestMain

	const mark, failed = "=== end of block ===", "=== failed ==="
	address := strings.TrimPrefix(s.url, "http://")
	var script strings.Builder
	for _, block := range blocks {
		text := strings.ReplaceAll(block.text, "127.0.0.1:8080", address)
		if block.refused {
			text = fmt.Sprintf("(\n%s) || echo '%s'\n", text, failed)
		}
		fmt.Fprintf(&script, "%s\necho '%s'\n", text, mark)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	shell.Dir = s.dir
	shell.Env = []string{
		"PATH=" + bin + ":" + tools + ":/usr/bin:/bin", "HOME=" + t.TempDir(), "GORACE=" + quickExit,
		"APIKEYD_LISTEN=" + address,
	}
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	outputs := strings.Split(string(out), mark)
	for i, block := range blocks {
		isError := regexp.MustCompile(`"status": ?[45]\d\d|` + failed).MatchString(outputs[i])
		if isError != block.refused {
			t.Errorf("block %d shows an error: %t, want %t\n%s\n%s", i+1, isError, block.refused, block.text, outputs[i])
		}
	}
}

type shellBlock struct {
	text    string
	refused bool
}

// shellBlocks returns the shell blocks of a document.
func shellBlocks(document string) []shellBlock {
	var blocks []shellBlock
	inShell, inOther := false, false
	for line := range strings.Lines(document) {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case inShell && isFence:
			inShell = false
		case inShell:
			blocks[len(blocks)-1].text += line
		case !isFence:
		case inOther:
			inOther = false
		case fence == "sh" || fence == "sh refused":
			inShell = true
			blocks = append(blocks, shellBlock{refused: fence == "sh refused"})
		default:
			inOther = true
		}
	}
	return blocks
}
