package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"apikeyd/console"
	"apikeyd/handlers"
	"apikeyd/internal/basepath"
	"apikeyd/store/dbname"
	"apikeyd/store/sqlstore"
)

// consoleFlags configure the web console.
type consoleFlags struct {
	Console        bool   `default:"true" env:"APIKEYD_CONSOLE" help:"Serve the web console at /console, for those who sign in with a key (on); --console=false does not."`
	ConsoleKeyFile string `env:"APIKEYD_CONSOLE_KEY_FILE" placeholder:"FILE" help:"At least 32 random bytes that encrypt the console's sessions, the same on all nodes (new at each start, which ends all sessions)."`
}

const (
	// minConsoleKey is how many random bytes are hard to guess.
	minConsoleKey = 32
	// maxConsoleKey is how much of the file is read: some files never end.
	maxConsoleKey = 4096
)

// consoleKey reads the key that encrypts the console's sessions. It returns nil if none is configured.
func (f consoleFlags) consoleKey(log *slog.Logger) ([]byte, error) {
	if !f.Console || f.ConsoleKeyFile == "" {
		return nil, nil
	}
	text, mode, err := readAtMost(f.ConsoleKeyFile, maxConsoleKey)
	if err != nil {
		return nil, fmt.Errorf("--console-key-file: %w", err)
	}
	if len(text) < minConsoleKey {
		return nil, errors.New("--console-key-file: the file needs at least 32 random bytes, such as from " +
			"head -c 32 /dev/urandom")
	}
	const others fs.FileMode = 0o007
	if mode.IsRegular() && mode&others != 0 && runtime.GOOS != "windows" {
		log.Warn("all users of this machine can read the key of the console's sessions; restrict its permissions",
			"file", f.ConsoleKeyFile, "mode", mode.String())
	}
	// Tools that copy files may add or remove a final line break.
	key := sha256.Sum256(bytes.TrimRight(text, "\r\n"))
	return key[:], nil
}

func readAtMost(path string, size int64) (text []byte, mode fs.FileMode, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	text, err = io.ReadAll(io.LimitReader(file, size))
	return text, info.Mode(), err
}

// withConsole serves the console next to the API, unless it is off. Its pages are not operations:
// metrics and traces show the API calls that they make.
func (c *Config) withConsole(
	api http.Handler, e entrance, s *handlers.Sessions, restored *restoreWatch, about describe, log *slog.Logger,
) (http.Handler, error) {
	if !c.Console {
		return api, nil
	}
	pages, err := console.New(console.Config{
		API: api, Log: log, Now: time.Now, Key: e.key, MaxKeyLifetime: c.Policy.MaxLifetime,
		Warnings: restored.warnings, About: about, Sessions: s, Links: e.links, SignIn: e.signIn,
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case basepath.IsOutside(r.Context()):
			api.ServeHTTP(w, r)
		case r.URL.Path == console.Path || strings.HasPrefix(r.URL.Path, console.Path+"/"):
			pages.ServeHTTP(w, r)
		case r.URL.Path == "/" && fromBrowser(r):
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Vary", "Accept")
			http.Redirect(w, r, console.Path, http.StatusSeeOther)
		default:
			api.ServeHTTP(w, r)
		}
	}), nil
}

// describe returns what the console shows administrators about this server.
type describe func(context.Context) (console.About, error)

func (c *Config) about(db *sqlstore.DB, started time.Time) describe {
	return func(ctx context.Context) (about console.About, err error) {
		about = console.About{
			Version: c.Build.Version, Revision: c.Build.Revision, Go: c.Build.GoVersion, Started: started,
			Database: dbname.Show(c.Database), Size: db.Stats().DatabaseSize, Settings: c.Shown,
		}
		if !dbname.IsPostgres(c.Database) {
			about.LastBackup, err = db.LastBackup(ctx)
			return about, err
		}
		about.BackupsElsewhere = true
		nodes, err := db.Nodes(ctx)
		for _, n := range nodes {
			about.Nodes = append(about.Nodes, console.Node(n))
		}
		return about, err
	}
}

// fromBrowser reports whether a browser opens a page: other programs accept any type, or JSON.
func fromBrowser(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html")
}
