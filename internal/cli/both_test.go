package cli

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The differences between two runs, and between the keys on a server and in its database.
var incidental = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(` {2,}`), "  "}, // columns are as wide as ids and times
	{likeSecret, "SECRET"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`\bak_[0-9A-Za-z]{8}\b`), "PREFIX"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`), "TIME"},
	{regexp.MustCompile(` \(request [0-9A-Z]+\)`), ""},
	{regexp.MustCompile(`the owner of your key|\badmin\b`), "OWNER"},
	{regexp.MustCompile(`\(now\)|\(\d+ seconds? ago\)`), "(RECENTLY)"},
	{regexp.MustCompile(`"last_used_at":"TIME",("last_used_from":"[^"]*",)?`), ""}, // reading from a database does not count as a use
	{regexp.MustCompile(`last used  (never|TIME \(RECENTLY\)( from \S+)?)`), "last used"},
	{regexp.MustCompile(`etag  \S{20}`), "etag"},
	{regexp.MustCompile(`((?:ACTIVE|REVOKED)  \S+  )(?:never|TIME)`), "${1}USED"},
}

// Every command has the same effect, output and exit status on a server and in a database. The input
// SECRET stands for the last secret that was printed.
func TestServerAndDatabaseAlike(t *testing.T) {
	t.Parallel()
	commands := []struct {
		input  string
		line   string // words between tabs, if it has any
		status int
	}{
		{"", "create\t--name\tci main\t--expires-in\t1h\t--metadata\tplan=a=b\t--metadata\tx=\x1b[31m", 0},
		{"", "get\tci main", 0},
		{"", "get --json\tci main", 0},
		{"", "usage\tci main", 0},
		{"", "usage --interval day --since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z --csv", 0},
		{"", "usage --interval day --since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z --json", 0},
		{"", "usage nobody", 1},
		{"", "usage --interval hour --since 2026-01-01T00:00:00Z", 1},
		{"", "usage --interval week", 2},
		{"", "create --name other --owner acme --expires-at 2100-01-31T12:00:00+02:00 --no-scopes --rate-limit 3/1h --json", 0},
		{"", "get other --owner acme", 0},
		{"", "create --name other --owner acme --expires-in 1h", 1},
		{"", "create --name other --owner acme", 2},
		{"", "create --name x --expires-in 1h --metadata nonsense", 2},
		{"", "create --name x --expires-in 1h --rate-limit often", 2},
		{"", "create --name x --expires-in 1h --rate-limit 9/1ms", 2},
		{"", "create --name x --expires-in 1h --rate-limit 2000000/1h", 1},
		{"", "create --name q --expires-in 1h --quota 1000000000001/day", 1},
		{"", "create --name q --expires-in 1h --quota 5/week@8", 1},
		{"", "create --name q --expires-in 1h --quota 5/day@2", 1},
		{"", "create --name q --expires-in 1h --quota 0/day", 2},
		{"", "create --name q --expires-in 1h --quota 5/year", 2},
		{"", "create --name q --expires-in 1h --quota 5/month@", 2},
		{"", "create --name q --expires-in 1h --quota 5", 2},
		{"", "create --name q --expires-in 1h --quota 5/day --no-quota", 2},
		{"", "create --name quota --owner acme --expires-in 1h --quota 1000/week@7 --json", 0},
		{"", "get quota --owner acme", 0},
		{"", "create --name x --expires-in 0s", 1},
		{"", "create --name x --expires-in 1h --scope keys:nonsense", 1},
		{"", "create --name x --expires-in 1h --no-scopes --scope a", 2},
		{"", "create --name readers --expires-in 1h --scope datasets:read --scope a,b", 0},
		{"SECRET", "verify", 0},
		{"SECRET", "verify --json --scope datasets:read --scope a,b", 0},
		{"SECRET", "verify --scope datasets:write", 1},
		{"SECRET", "verify --json --scope datasets:write", 1},
		{"SECRET", "verify --cost 0", 0},
		{"SECRET", "verify --cost=-1", 1},
		{"SECRET", "verify --cost 1000001", 1},
		{"SECRET", "verify --cost much", 2},
		{"nonsense", "verify", 1},
		{"nonsense", "verify --json", 1},
		{"", "verify", 1},
		{"", "verify --secret-file missing", 1},
		{"", "update readers", 2},
		{"", "update readers --name writers --scope datasets:write --expires-in 2h --metadata a=b", 0},
		{"", "update writers --no-scopes --no-metadata --rate-limit 100/1m --quota 1000/month@31 --json", 0},
		{"", "get writers", 0},
		{"", "update writers --no-rate-limit --no-quota --expires-at 2100-01-31T12:00:00Z --json", 0},
		{"", "update\twriters\t--name\tci main", 1},
		{"", "update writers --expires-in=-1h", 1},
		{"", "update nobody --name x", 1},
		{"", "update other --owner acme --name another --json", 0},
		{"", "create --name a/b%2F?c#%d --owner o/o% --expires-in 1h", 0},
		{"", "get a/b%2F?c#%d --owner o/o%", 0},
		{"", "update a/b%2F?c#%d --owner o/o% --name //% --json", 0},
		{"", "rotate //% --owner o/o%", 0},
		{"", "revoke //% --owner o/o% --json", 0},
		{"", "rotate writers --grace 1h", 0},
		{"SECRET", "verify", 0},
		{"", "rotate writers --grace 30m --json", 0},
		{"", "rotate writers --grace 1500ms", 2},
		{"", "rotate writers --grace 169h", 2},
		{"", "rotate nobody", 1},
		{"", "list", 0},
		{"", "list --json", 0},
		{"", "list --owner acme", 0},
		{"", "list --owner nobody", 0},
		{"", "list --owner nobody --json", 0},
		{"", "list\t--owner\t ", 1},
		{"", "list\t--owner\t", 1},
		{"", "list --name-contains ite --json", 0},
		{"", "list --search WRITE --json", 0},
		{"", "list\t--search\t", 2},
		{"", "list\t--search\ta\nb", 2},
		{"", "list --expires-before 2050-01-01T00:00:00Z --json", 0},
		{"", "list --last-used-before 2020-01-01T00:00:00Z", 0},
		{"", "list --last-used-before 2050-01-01T00:00:00Z", 0},
		{"", "list --status nonsense", 2},
		{"", "list --expires-before tomorrow", 2},
		{"", "revoke nobody", 1},
		{"", "revoke ID", 1},
		{"", "get ID", 1},
		{"", "get 00000000-0000-0000-0000-000000000000", 1},
		{"", "get\t", 1},
		{"", "get another", 1}, // acme's
		{"", "revoke writers", 0},
		{"", "revoke writers --json", 0},
		{"", "revoke another --owner acme --yes", 0},
		{"", "update writers --name x", 1},
		{"", "rotate writers", 1},
		{"", "get writers --json", 0},
		{"", "list --status revoked", 0},
		{"", "list --status ACTIVE", 0},
		{"", "frobnicate", 2},
	}
	var said [2][]string
	t.Run("each", func(t *testing.T) {
		for place := range said {
			t.Run(strconv.Itoa(place), func(t *testing.T) {
				t.Parallel()
				s := serve(t, t.TempDir())
				run := keysRun{where: []string{"--url", s.url, "--key-file", filepath.Join(s.dir, "admin.key")}}
				if place == 1 {
					must(t, s.terminate())
					run.where = []string{"--database", filepath.Join(s.dir, "apikeyd.db")}
				}
				for _, c := range commands {
					said[place] = append(said[place], run.run(t, c.input, wordsOf(c.line)))
				}
			})
		}
	})
	for i, c := range commands {
		if said[0][i] != said[1][i] {
			t.Errorf("%q differs\non a server:\n%s\nin a database:\n%s", c.line, said[0][i], said[1][i])
		}
		if want := fmt.Sprintf("status %d\n", c.status); !strings.HasPrefix(said[0][i], want) {
			t.Errorf("%q: want %sgot %s", c.line, want, said[0][i])
		}
	}
}

// wordsOf splits a command line: at tabs if it has any, but for its flags without values.
func wordsOf(line string) []string {
	first, rest, tabbed := strings.Cut(line, "\t")
	words := strings.Split(first, " ")
	if tabbed {
		words = append(words, strings.Split(rest, "\t")...)
	}
	return words
}

// keysRun runs commands in one of the places where keys are stored.
type keysRun struct {
	where  []string
	secret string // the last one that was printed
}

// run returns the exit status and the output, without incidental differences.
func (k *keysRun) run(t *testing.T, input string, words []string) string {
	t.Helper()
	args := append([]string{"keys"}, words...)
	for i, word := range args {
		args[i] = strings.ReplaceAll(word, "ID", "0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f")
	}
	stdout, stderr, status := runHere(t, strings.ReplaceAll(input, "SECRET", k.secret), append(args, k.where...)...)
	wantNoSecret(t, stderr)
	if found := likeSecret.FindString(stdout); found != "" {
		k.secret = found
		if words[0] != "create" && words[0] != "rotate" {
			t.Errorf("%q prints a secret", words)
		}
	}
	text := fmt.Sprintf("status %d\n%s%s", status, stdout, stderr)
	if strings.Contains(text, "\x1b") {
		t.Errorf("%q sends a terminal what is in the metadata", words)
	}
	for _, i := range incidental {
		text = i.pattern.ReplaceAllString(text, i.instead)
	}
	return text
}
