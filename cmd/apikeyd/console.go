package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/console"
)

// consoleFlags are about the pages at /console.
type consoleFlags struct {
	Console        bool   `default:"true" env:"APIKEYD_CONSOLE" help:"Serve the web console at /console, for those who sign in with a key (on); --console=false does not."`
	ConsoleKeyFile string `env:"APIKEYD_CONSOLE_KEY_FILE" placeholder:"FILE" help:"At least 32 random bytes that encrypt the console's sessions, the same on all nodes (new with each start, which ends all sessions)."`
}

// minConsoleKey is how much of a file is hard to guess, if it is random.
const minConsoleKey = 32

// consoleKey reads the key of the console's sessions, or returns nil if there is none.
func (f consoleFlags) consoleKey() ([]byte, error) {
	if !f.Console || f.ConsoleKeyFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.ConsoleKeyFile)
	if err != nil {
		return nil, fmt.Errorf("--console-key-file: %w", err)
	}
	if len(text) < minConsoleKey {
		return nil, errors.New("--console-key-file: the file needs at least 32 random bytes, such as from " +
			"head -c 32 /dev/urandom")
	}
	key := sha256.Sum256(text)
	return key[:], nil
}

// withConsole puts the console beside the API, if there is to be one.
func (f consoleFlags) withConsole(api http.Handler, policy apikey.Policy, log *slog.Logger) (http.Handler, error) {
	if !f.Console {
		return api, nil
	}
	key, err := f.consoleKey()
	if err != nil {
		return nil, err
	}
	pages, err := console.New(console.Config{
		API: api, Log: log, Now: time.Now, Key: key, MaxKeyLifetime: policy.MaxLifetime,
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == console.Path || strings.HasPrefix(r.URL.Path, console.Path+"/") {
			pages.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}), nil
}
