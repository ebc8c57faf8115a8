package cli

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// modernc.org/sqlite is generated for one version of modernc.org/libc; any other version can break it
// at run time.
func TestLibcIsTheOneOfSQLite(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite").Output()
	must(t, err)
	want := libcIn(t, strings.TrimSpace(string(out)))
	if got := libcIn(t, "../../go.mod"); got != want {
		t.Errorf("modernc.org/libc is at %s, but modernc.org/sqlite needs %s: go get modernc.org/libc@%s", got, want, want)
	}
}

func libcIn(t *testing.T, goMod string) string {
	t.Helper()
	text, err := os.ReadFile(goMod)
	must(t, err)
	groups := regexp.MustCompile(`\bmodernc\.org/libc (v\S+)`).FindSubmatch(text)
	if groups == nil {
		t.Fatalf("%s does not name modernc.org/libc", goMod)
	}
	return string(groups[1])
}
