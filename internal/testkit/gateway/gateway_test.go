//go:build full

package gateways_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"apikeyd/internal/testkit/address"
	"apikeyd/internal/testkit/program"
	servertest "apikeyd/internal/testkit/server"
)

// patience is how long a test waits for an event.
const patience = 30 * time.Second

// gateway is a gateway of the page that these tests run.
type gateway struct {
	program string
	files   []string // the page's files that it needs
	broken  []breakage
	// prepare adds files that the page lacks, and returns how to start the gateway.
	prepare func(t *testing.T, dir string) (args, env []string)
}

// breakage is a mistake in a configuration: a replacement, and the status that /reports/ then answers
// for every key.
type breakage struct {
	name, old, new string
	status         int
}

// gateways are named as in the page's table.
var gateways = map[string]gateway{
	"nginx": {
		program: "nginx",
		files:   []string{"conf.d/api.conf", "snippets/apikeyd.conf", "snippets/apikeyd_ask.conf"},
		broken: []breakage{
			{"a forgotten scope", "set $apikeyd_scope reports:read;", "", http.StatusForbidden},
		},
		prepare: prepareNginx,
	},
	"HAProxy": {
		program: "haproxy",
		files:   []string{"haproxy.cfg", "apikeyd.lua"},
		broken: []breakage{
			{"a forgotten scope", "http-request lua.apikeyd reports:read if { path_beg /reports/ }", "", http.StatusServiceUnavailable},
			{"a defect in Lua", `ask(txn, "?rate_limited=429&scope="`, `ask(nil, ""`, http.StatusServiceUnavailable},
		},
		prepare: func(_ *testing.T, dir string) ([]string, []string) {
			return []string{"-db", "-f", filepath.Join(dir, "haproxy.cfg")}, nil
		},
	},
	"Caddy": {
		program: "caddy",
		files:   []string{"Caddyfile"},
		broken: []breakage{
			{"a forgotten scope", "import apikeyd reports:read", "import apikeyd", http.StatusForbidden},
		},
		prepare: func(t *testing.T, dir string) ([]string, []string) {
			args := []string{"run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile"}
			return args, []string{"CADDY_ADMIN=127.0.0.1:" + freePort(t)}
		},
	},
}

// prepareNginx writes what distributions have in /etc/nginx/nginx.conf.
func prepareNginx(t *testing.T, dir string) ([]string, []string) {
	t.Helper()
	config := fmt.Sprintf(`daemon off;
pid %[1]s/nginx.pid;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    include conf.d/*.conf;
}
`, dir)
	if os.Geteuid() == 0 {
		config = "user root;\n" + config // or the worker may not write below dir
	}
	file := filepath.Join(dir, "nginx.conf")
	must(t, os.WriteFile(file, []byte(config), 0o600))
	return []string{"-e", "stderr", "-p", dir, "-c", file}, nil
}

// start runs the gateway as the page configures it, after the replacements, and returns its URL. Without
// an API behind the gateway, upstream is empty.
func (g gateway) start(t *testing.T, p page, asks, upstream string, replace ...string) string {
	t.Helper()
	path := program.Path(t, g.program)
	for range 3 { // a free port may be taken by now
		port := freePort(t)
		ports := map[string]string{"8000": port, "8080": portOf(t, asks)}
		if upstream != "" {
			ports["9000"] = portOf(t, upstream)
		}
		dir := g.write(t, p, ports, replace)
		args, env := g.prepare(t, dir)
		if launch(t, dir, port, env, path, args...) {
			return "http://127.0.0.1:" + port
		}
	}
	t.Fatalf("%s does not start", g.program)
	return ""
}

// write writes the page's files into a new folder, with the ports and paths of this test.
func (g gateway) write(t *testing.T, p page, ports map[string]string, replace []string) string {
	t.Helper()
	dir := t.TempDir()
	found := map[string]bool{}
	for _, name := range g.files {
		text, there := p.files[name]
		if !there {
			t.Fatalf("the page has no %s", name)
		}
		text = strings.NewReplacer(replace...).Replace(text)
		text = strings.ReplaceAll(text, "/etc/haproxy", dir)
		text = regexp.MustCompile(`:(8000|8080|9000)\b`).ReplaceAllStringFunc(text, func(old string) string {
			found[old[1:]] = true
			return ":" + ports[old[1:]]
		})
		file := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		must(t, os.WriteFile(file, []byte(text), 0o600))
	}
	if len(found) != len(ports) {
		t.Fatalf("the page's %s names only the ports %v", g.program, found)
	}
	return dir
}

// launch starts a program, which is stopped when the test ends, and waits until it listens. It reports
// false if the program ended instead.
func launch(t *testing.T, dir, port string, env []string, path string, args ...string) bool {
	t.Helper()
	log := &servertest.Log{}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=" + dir}, env...)
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in the log
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // nginx then ends its workers
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
		}
		if likeSecret.MatchString(log.String()) {
			t.Errorf("%s logged a secret", path)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", path, likeSecret.ReplaceAllString(log.String(), "…"))
		}
	})
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if connection, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			must(t, connection.Close())
			return true
		}
		select {
		case <-ended:
			t.Logf("%s ended:\n%s", path, log)
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not listen", path)
	return false
}

var likeSecret = regexp.MustCompile(`ak_[0-9A-Za-z]{60}`)

func freePort(t *testing.T) string {
	t.Helper()
	return portOf(t, "http://"+address.Unused(t))
}

func portOf(t *testing.T, url string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	must(t, err)
	return port
}
