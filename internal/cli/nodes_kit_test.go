//go:build full

package cli

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/internal/testkit/program"
)

// site is three nodes on one PostgreSQL with a synchronous standby, behind HAProxy.
type site struct {
	t                *testing.T
	dir              string
	primary, standby *postgrestest.Cluster
	front            *server // HAProxy, so its process is not apikeyd

	mu    sync.Mutex
	nodes []*node
}

// each returns the current nodes: a restarted node is another process.
func (st *site) each() (servers []*server) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, n := range st.nodes {
		servers = append(servers, n.server)
	}
	return servers
}

// pick returns any node, or any that is connected to the database.
func (st *site) pick(any bool) *server {
	st.mu.Lock()
	defer st.mu.Unlock()
	for {
		if n := st.nodes[rand.IntN(len(st.nodes))]; any || n.connected {
			return n.server
		}
	}
}

// node is one node, with its own connection to each PostgreSQL server.
type node struct {
	*server
	name      string
	wires     []*wire
	connected bool // to the database
	args      []string
}

const siteDatabase = "postgres"

func newSite(t *testing.T) *site {
	t.Helper()
	haproxy := program.Path(t, "haproxy")
	st := &site{t: t, dir: t.TempDir()}
	st.primary = postgrestest.Start(t, "synchronous_standby_names=standby")
	st.standby = st.primary.Standby(t, "standby")
	for _, name := range []string{"a", "b", "c"} {
		n := &node{name: name, connected: true, wires: []*wire{newWire(t, st.primary.Address), newWire(t, st.standby.Address)}}
		n.args = []string{
			"--node", name, "--admin-key-file", "admin.key", "--auth-failures-per-minute", "0",
			"--database", siteURL(n.wires[0].address(), n.wires[1].address()),
		}
		n.server = serve(t, st.dir, n.args...)
		st.nodes = append(st.nodes, n)
	}
	st.front = &server{t: t, dir: st.dir, url: st.balance(haproxy)}
	st.front.env = []string{"APIKEYD_DATABASE=" + siteURL(st.primary.Address, st.standby.Address)}
	return st
}

func siteURL(hosts ...string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&target_session_attrs=read-write",
		strings.Join(hosts, ","), siteDatabase)
}

// haproxyConfig lacks the nodes. Its health checks are more frequent than in production, but a node
// that is slow on a busy machine still counts as healthy: with a limit of one second all three were
// down at times, and clients saw errors without a fault.
const haproxyConfig = `global
    stats socket %[1]s/haproxy.sock mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout queue 1s
    retries 3
    option redispatch 1
    option forwardfor
frontend keys
    bind fd@3
    default_backend nodes
backend nodes
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
    timeout check 5s
    default-server check inter 200ms fall 1 rise 1
`

// balance starts HAProxy in front of the nodes, and returns its URL.
func (st *site) balance(haproxy string) (url string) {
	st.t.Helper()
	config := fmt.Sprintf(haproxyConfig, st.dir)
	for _, n := range st.nodes {
		config += fmt.Sprintf("    server %s %s\n", n.name, strings.TrimPrefix(n.url, "http://"))
	}
	file := filepath.Join(st.dir, "haproxy.cfg")
	must(st.t, os.WriteFile(file, []byte(config), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(st.t, err)
	socket, err := listener.(*net.TCPListener).File()
	must(st.t, err)
	must(st.t, listener.Close()) // HAProxy has its socket
	cmd := bare(st.dir, nil, haproxy, "-db", "-f", file)
	cmd.ExtraFiles = []*os.File{socket}
	p, err := start(cmd)
	must(st.t, err)
	must(st.t, socket.Close())
	st.t.Cleanup(func() {
		p.kill()
		wantNoSecret(st.t, p.output.String())
		if st.t.Failed() {
			st.t.Logf("HAProxy said:\n%s", p.output.End())
		}
	})
	url = "http://" + listener.Addr().String()
	st.eventually("HAProxy answers", func() bool {
		response, err := httpClient.Get(url + "/readyz")
		if err != nil {
			return false
		}
		must(st.t, response.Body.Close())
		return response.StatusCode == http.StatusOK
	})
	return url
}

// start starts a node again at its old address.
func (st *site) start(n *node) {
	st.t.Helper()
	listen := strings.TrimPrefix(n.url, "http://")
	again := serveWith(st.t, st.dir, nil, append([]string{"--listen", listen}, n.args...)...)
	st.mu.Lock()
	defer st.mu.Unlock()
	n.server = again
	st.haproxy("set server nodes/" + n.name + " state ready")
}

// cut changes a node's connection to the database.
func (st *site) cut(n *node, s wireState) {
	st.mu.Lock()
	n.connected = s == whole
	st.mu.Unlock()
	for _, w := range n.wires {
		w.become(s)
	}
}

// ready waits until all nodes are ready and HAProxy knows it.
func (st *site) ready() {
	st.t.Helper()
	for _, n := range st.nodes {
		st.eventually("node "+n.name+" is ready", func() bool { return n.status("/readyz") == http.StatusOK })
	}
	st.eventually("HAProxy uses all nodes", func() bool {
		answer := st.haproxy("show stat")
		return strings.Count(answer, "nodes,") == len(st.nodes)+1 && !strings.Contains(answer, ",DOWN") && !strings.Contains(answer, ",DRAIN")
	})
}

// drain has HAProxy send no more requests to a node, and waits for pending answers. A node that simply
// stops accepting may refuse a connection that HAProxy already has.
func (st *site) drain(n *node) {
	st.t.Helper()
	st.haproxy("set server nodes/" + n.name + " state drain")
	st.eventually("node "+n.name+" has nothing to do", func() bool {
		for line := range strings.Lines(st.haproxy("show stat")) {
			if fields := strings.Split(line, ","); fields[0] == "nodes" && fields[1] == n.name {
				return fields[4] == "0" // scur, the sessions that it has now
			}
		}
		return false
	})
}

// haproxy sends HAProxy a command and returns its answer.
func (st *site) haproxy(command string) string {
	st.t.Helper()
	conn, err := net.Dial("unix", filepath.Join(st.dir, "haproxy.sock"))
	must(st.t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintln(conn, command)
	must(st.t, err)
	text, err := io.ReadAll(conn)
	must(st.t, err)
	return string(text)
}

// status requests a page; 0 means no answer.
func (s *server) status(path string) int {
	response, err := httpClient.Get(s.url + path)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func (st *site) eventually(what string, done func() bool) {
	st.t.Helper()
	for deadline := time.Now().Add(2 * patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, n := range st.nodes {
				st.t.Logf("node %s said:\n%s", n.name, n.output.End())
			}
			st.t.Fatal("does not come true: ", what)
		}
	}
}
