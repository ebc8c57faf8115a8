package gateways_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// page is docs/gateways.md and the configurations that it links to.
type page struct {
	files map[string]string // by their path in the gateway's folder
	said  map[string]row    // the rows of the table, by their first word
}

// row is the table's row of one gateway.
type row struct {
	run                                    bool // by these tests
	limited, unavailable, stopped, hanging int  // the status for each
}

const folder = "../../../deploy/gateways"

var number = regexp.MustCompile(`\d+`)

func readPage(t *testing.T) page {
	t.Helper()
	text, err := os.ReadFile("../../../docs/gateways.md")
	must(t, err)
	p := page{files: map[string]string{}, said: map[string]row{}}
	for path, content := range filesOf(t, folder) {
		if !strings.Contains(string(text), "](../deploy/gateways/"+path+")") {
			t.Errorf("the page has no link to %s", path)
		}
		_, name, _ := strings.Cut(path, "/")
		if _, twice := p.files[name]; twice {
			t.Fatalf("two gateways have a %s", name)
		}
		p.files[name] = content
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 9 || !number.MatchString(cells[3]) {
			continue
		}
		p.said[strings.Fields(cells[1])[0]] = row{
			run:         strings.TrimSpace(cells[2]) == "yes",
			limited:     status(t, cells[3]),
			unavailable: status(t, cells[5]),
			stopped:     status(t, cells[6]),
			hanging:     status(t, cells[7]),
		}
	}
	return p
}

// filesOf returns all files in a folder by their path.
func filesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, found := map[string]string{}, os.DirFS(folder)
	must(t, fs.WalkDir(found, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := fs.ReadFile(found, path)
		files[path] = string(content)
		return err
	}))
	return files
}

// The page's commands copy each gateway's files, and replace nothing without asking.
func TestCopying(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/gateways.md")
	must(t, err)
	etc := t.TempDir()
	commands := regexp.MustCompile(`(?m)^cp .* /etc/(\w+)$`).FindAllStringSubmatch(string(text), -1)
	for _, match := range commands {
		must(t, os.Mkdir(filepath.Join(etc, match[1]), 0o700))
	}
	copyAll := func() {
		for _, match := range commands {
			cmd := exec.Command("sh", "-c", strings.Replace(match[0], "/etc/", etc+"/", 1))
			cmd.Dir = "../../.."
			said, err := cmd.CombinedOutput() // some versions fail if a file is kept
			t.Log(match[0], string(said), err)
		}
	}
	copyAll()
	kept := filepath.Join(etc, "nginx", "snippets", "apikeyd.conf")
	must(t, os.WriteFile(kept, []byte("mine"), 0o600))
	copyAll()
	if mine, err := os.ReadFile(kept); string(mine) != "mine" {
		t.Errorf("a file was replaced by %q, %v", mine, err)
	}
	copied := filesOf(t, etc)
	copied["nginx/snippets/apikeyd.conf"] = filesOf(t, folder)["nginx/snippets/apikeyd.conf"]
	if diff := cmp.Diff(filesOf(t, folder), copied); diff != "" {
		t.Errorf("the commands copy (-want +got):\n%s", diff)
	}
}

func status(t *testing.T, cell string) int {
	t.Helper()
	code, err := strconv.Atoi(number.FindString(cell))
	must(t, err)
	return code
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
