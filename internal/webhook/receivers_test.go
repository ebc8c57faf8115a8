//go:build full

package webhook_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/internal/testkit/program"
	"apikeyd/internal/webhook"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// block returns the code of a language in docs/webhooks.md.
func block(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/webhooks.md")
	must(t, err)
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("docs/webhooks.md has no %s", language)
	}
	return found[1]
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}

func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// The receiver in Go, from another module.
func TestReceiverInGo(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	must(t, err)
	sums, err := os.ReadFile("../../go.sum")
	must(t, err)
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"go.mod": "module example.com/receiver\n\ngo 1.26.0\n\nrequire apikeyd v0.0.0\n\nreplace apikeyd => " + root + "\n",
		"go.sum": string(sums), "main.go": block(t, "go"),
	})
	run(t, dir, []string{"GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0"}, "go", "build", "-o", "receiver.exe", ".")
	deliverTo(t, dir, filepath.Join(dir, "receiver.exe"))
}

// The receiver in TypeScript, compiled strictly, with the client as a package.
func TestReceiverInTypeScript(t *testing.T) {
	t.Parallel()
	node := program.Path(t, "node")
	source, err := filepath.Abs("../../client/typescript")
	must(t, err)
	modules := filepath.Join(source, "node_modules")
	if _, err := os.Stat(modules); err != nil {
		program.Missing(t, "client/typescript/node_modules (make node-modules)")
	}
	dir := t.TempDir()
	manifest, err := os.ReadFile(filepath.Join(source, "package.json"))
	must(t, err)
	write(t, dir, map[string]string{
		"package.json": `{"type": "module"}`, "receiver.ts": block(t, "ts"), "node_modules/apikeyd-client/package.json": string(manifest),
	})
	for _, dependency := range []string{"openapi-fetch", "openapi-typescript-helpers", "@types"} {
		must(t, os.Symlink(filepath.Join(modules, dependency), filepath.Join(dir, "node_modules", dependency)))
	}
	tsc := filepath.Join(modules, "typescript", "bin", "tsc")
	run(t, source, nil, node, tsc, "--outDir", filepath.Join(dir, "node_modules", "apikeyd-client", "dist"))
	run(t, dir, nil, node, tsc, "--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "receiver.ts")
	deliverTo(t, dir, node, "receiver.js")
}

// deliverTo starts a receiver, and has events delivered to it.
func deliverTo(t *testing.T, dir string, command ...string) {
	t.Helper()
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	address := free.Addr().String()
	must(t, free.Close())
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	db := databasetest.OpenWith(t, sqlstore.Options{Path: databasetest.NewPath(t), Serve: true})
	w := store.Webhook{
		ID: apikey.NewID(), URL: "http://" + address + "/in", CreatedAt: time.Now().UTC().Truncate(time.Millisecond), Secret: store.NewWebhookSecret(),
	}
	must(t, db.CreateWebhook(t.Context(), databasetest.Operator, w))
	next := store.NewWebhookSecret()
	_, err = db.RotateWebhook(t.Context(), databasetest.Operator, w.ID, next, time.Hour)
	must(t, err)

	receiver := exec.CommandContext(t.Context(), command[0], command[1:]...)
	receiver.Dir = dir
	receiver.Env = append(os.Environ(), "LISTEN="+address, "PORT="+port, "WEBHOOK_SECRETS="+next.Reveal()+" "+store.NewWebhookSecret().Reveal())
	receiver.Stdout, receiver.Stderr = io.Discard, io.Discard
	must(t, receiver.Start())
	t.Cleanup(func() {
		_ = receiver.Process.Kill()
		_ = receiver.Wait()
	})
	sender := webhook.New(webhook.Options{
		Queue: db, Guard: &webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		sender.Run(ctx)
		close(stopped)
	}()
	defer func() {
		stop()
		<-stopped
	}()
	test, err := db.TestWebhook(t.Context(), databasetest.Operator, w.ID)
	must(t, err)
	delivered := func(want int) {
		t.Helper()
		for end := time.Now().Add(40 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			all, err := db.Deliveries(t.Context(), store.DeliveryQuery{Webhook: w.ID, State: store.StateDelivered, Limit: 10})
			must(t, err)
			if len(all) == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d events were delivered", len(all))
			}
		}
	}
	delivered(2) // the rotation, and the test
	_, err = db.RetryDelivery(t.Context(), databasetest.Operator, w.ID, test.Event)
	must(t, err)
	delivered(2)
	kept, err := os.ReadFile(filepath.Join(dir, "received.jsonl"))
	must(t, err)
	if strings.Count(string(kept), "\n") != 2 || strings.Count(string(kept), test.Event.String()) != 1 {
		t.Errorf("the receiver kept %s", kept)
	}
}
