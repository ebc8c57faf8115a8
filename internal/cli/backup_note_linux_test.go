//go:build full

package cli

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"apikeyd/internal/testkit/program"
)

// A backup by somebody who may only read the database is as good as any; the database knows nothing of it.
func TestBackupOfWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	unshare := program.Path(t, "unshare")
	if err := exec.Command(unshare, "-m", "true").Run(); err != nil {
		program.Missing(t, "the right to mount")
	}
	s, elsewhere := serve(t, t.TempDir()), t.TempDir()
	const script = `mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$0" backup keys.bak --database "$1/apikeyd.db"`
	out, err := bare(elsewhere, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, unshare, "-m", "sh", "-c", script, named(t), s.dir).CombinedOutput()
	if err != nil || strings.Count(string(out), "WARNING: ") != 1 || !strings.Contains(string(out), "WARNING: the backup is good, but ") {
		t.Errorf("backup ends with %v and says\n%s", err, out)
	}
	t.Log(string(out))
	s.command("restore", filepath.Join(elsewhere, "keys.bak"), "--database", "drill.db")
	s.wantDoctor("ok       backup         apikeyd backup has not copied this database yet")
}
