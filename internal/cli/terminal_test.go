package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"apikeyd/internal/testkit/program"
)

// terminal is a program running on a terminal, and the person using it.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	keys   *os.File
	screen program.Output
	exited chan struct{}
}

// atTerminal starts a program with a terminal as its input, output and errors.
func atTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	keys, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 250})
	must(t, err)
	at := &terminal{t: t, cmd: cmd, keys: keys, exited: make(chan struct{})}
	go func() {
		_, _ = io.Copy(&at.screen, keys) // ends with an error when the program does
		_ = cmd.Wait()
		close(at.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-at.exited
		_ = keys.Close()
	})
	return at
}

// sees waits until a text is on the screen.
func (a *terminal) sees(text string) {
	a.t.Helper()
	for deadline := time.Now().Add(stuck); !strings.Contains(a.screen.String(), text); {
		if time.Now().After(deadline) {
			a.t.Fatalf("%q does not come up; the screen shows\n%s", text, a.screen.String())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (a *terminal) types(text string) {
	a.t.Helper()
	_, err := io.WriteString(a.keys, text)
	must(a.t, err)
}

// ends waits for the exit status.
func (a *terminal) ends(want int) {
	a.t.Helper()
	select {
	case <-a.exited:
	case <-time.After(stuck):
		a.t.Fatalf("the program does not end; the screen shows\n%s", a.screen.String())
	}
	if got := a.cmd.ProcessState.ExitCode(); got != want {
		a.t.Errorf("exit status is %d, want %d\n%s", got, want, a.screen.String())
	}
}

// typed runs an apikeyd command on a terminal, in the folder of the server.
func (s *server) typed(env []string, args ...string) *terminal {
	s.t.Helper()
	cmd, err := apikeyd(s.dir, env, args...)
	must(s.t, err)
	return atTerminal(s.t, cmd)
}

// A typed secret is never shown, and login keeps it only if it works.
func TestLoginAtATerminal(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	home := []string{"HOME=" + s.dir}

	at := s.typed(home, "login")
	at.sees("URL of the server: ")
	at.types(s.url + "\n")
	at.sees("Your key (it is not shown): ")
	at.types(s.adminKey() + "\n")
	at.ends(exitOK)
	at.sees("Profile default: " + s.url)
	wantNoSecret(t, at.screen.String())

	at = s.typed(home, "keys", "list")
	at.ends(exitOK)
	at.sees("keys:admin")

	// First nothing, then something that is no key.
	at = s.typed(home, "login", "--url", s.url, "--profile", "other")
	at.sees("not shown")
	at.types("\n")
	at.ends(exitFailure)
	at.sees("holds no apikeyd key")
	at = s.typed(home, "login", "--url", s.url, "--profile", "other")
	at.sees("not shown")
	at.types("hunter2\n")
	at.ends(exitFailure)
	if strings.Contains(at.screen.String(), "hunter2") {
		t.Error("what was typed for a secret is on the screen")
	}
	if _, err := os.Stat(filepath.Join(s.dir, ".config/apikeyd/profiles/other.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a profile was kept: %v", err)
	}
}

// A person gets more information than a script, all of it outside standard output.
func TestNotesAtATerminal(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	at := s.typed(nil, "keys", "create", "--name", "ci", "--expires-in", "1h")
	at.ends(exitOK)
	at.sees("Made the key ci of admin (")
	secret := likeSecret.FindString(at.screen.String())
	if strings.Count(at.screen.String(), secret) != 1 {
		t.Errorf("the secret is not there once\n%s", at.screen.String())
	}

	at = s.typed(nil, "keys", "verify", "--scope", "keys:read")
	at.sees("Secret to verify: ")
	at.types(secret + "\n")
	at.ends(exitOK)
	at.sees("VALID")
	at.sees("It is that of ci of admin (")
	wantNoSecret(t, at.screen.String())

	// On a terminal, lists are short and coloured, and say so when they are empty.
	at = s.typed(nil, "keys", "list")
	at.ends(exitOK)
	at.sees("\x1b[32mACTIVE\x1b[0m  in 1h ")
	at = s.typed([]string{"NO_COLOR=1"}, "keys", "list", "--wide")
	at.ends(exitOK)
	at.sees("  ACTIVE  2")
	at = s.typed(nil, "keys", "list", "--owner", "nobody")
	at.ends(exitOK)
	if got := at.screen.String(); got != "No keys match.\r\n" {
		t.Errorf("an empty list shows %q", got)
	}

	at = s.typed(nil, "keys", "rotate", "ci", "--grace", "30m")
	at.ends(exitOK)
	at.sees("The old secret works until 2")
}

// The echo is on again, and the exit status is that of an interrupted program.
func TestInterruptAtAPrompt(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	at := s.typed(nil, "keys", "list", "--url", s.url)
	at.sees("Your key for " + s.url + ": ")
	at.types("half a sec\x03")
	at.ends(exitInterrupted)
	at.sees("apikeyd: error: interrupted")
	if strings.Contains(at.screen.String(), "half") {
		t.Error("what was typed for a secret is on the screen")
	}
}

// Revoking asks only for a key in use, and only a yes revokes it.
func TestRevokeAtATerminal(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	secret := strings.TrimSpace(s.command("keys", "create", "--name", "ci", "--expires-in", "1h"))
	s.command("keys", "create", "--name", "idle", "--expires-in", "1h")
	s.want(200, "GET", "/v1/api-keys", secret, "")
	must(t, s.terminate()) // writes the last use to the database

	at := s.typed(nil, "keys", "revoke", "idle")
	at.ends(exitOK)

	for _, no := range []string{"n\n", "\n", "yess\n"} {
		at = s.typed(nil, "keys", "revoke", "ci")
		at.sees("Revoke it for good? [y/N] ")
		at.sees("ci of admin was last used ")
		at.types(no)
		at.ends(exitFailure)
		at.sees("nothing was revoked")
	}
	at = s.typed(nil, "keys", "revoke", "ci")
	at.sees("[y/N] ")
	at.types("\x04") // the end of the input
	at.ends(exitFailure)
	if strings.Contains(s.command("keys", "get", "ci"), "REVOKED") {
		t.Error("the key was revoked without a yes")
	}

	at = s.typed(nil, "keys", "revoke", "ci")
	at.sees("[y/N] ")
	at.types("y\n")
	at.ends(exitOK)
	at.sees("ci of admin was revoked at ")
	at = s.typed(nil, "keys", "revoke", "ci") // again
	at.ends(exitOK)
	if strings.Contains(at.screen.String(), "[y/N]") {
		t.Error("it asks about a key that is revoked already")
	}
}

// After an interrupt, the terminal shows typed text again.
func TestPromptRestoresTheEcho(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	keys, tty, err := pty.Open()
	must(t, err)
	t.Cleanup(func() { _, _ = keys.Close(), tty.Close() })
	before, err := term.GetState(int(tty.Fd()))
	must(t, err)
	cmd, err := apikeyd(s.dir, nil, "keys", "verify")
	must(t, err)
	var stderr program.Output
	cmd.Stdin, cmd.Stderr = tty, &stderr
	must(t, cmd.Start())
	for deadline := time.Now().Add(stuck); !strings.Contains(stderr.String(), "Secret to verify"); {
		if time.Now().After(deadline) {
			t.Fatal("nobody is asked")
		}
		time.Sleep(2 * time.Millisecond)
	}
	must(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	after, err := term.GetState(int(tty.Fd()))
	must(t, err)
	if *after != *before {
		t.Error("the terminal is not as it was")
	}
	if got := cmd.ProcessState.ExitCode(); got != exitInterrupted {
		t.Errorf("exit status is %d, want %d", got, exitInterrupted)
	}
}
