//go:build full

package lease

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"apikeyd/apikey"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store/postgres"
)

// member is a process: a node, its cache, and a writer with a chain of its own.
type member struct {
	*Node
	memory *memory
	pool   *sql.DB
	chain  string
	mu     sync.Mutex // one transaction after another
}

// nodeDatabase is a database with the tables that nodes need.
type nodeDatabase struct {
	*postgrestest.Cluster
	url string
}

func newNodeDatabase(t testing.TB, c *postgrestest.Cluster) *nodeDatabase {
	t.Helper()
	d := &nodeDatabase{c, c.Database(t)}
	ddl, err := os.ReadFile("../migrations/postgres/00002_nodes.sql")
	if err != nil {
		t.Fatal(err)
	}
	d.sql(t, strings.TrimPrefix(string(ddl), "-- +goose Up"))
	d.sql(t, `CREATE TABLE audit_chains (chain TEXT NOT NULL PRIMARY KEY, event_id BYTEA NOT NULL, seq BIGINT NOT NULL)`)
	return d
}

func (d *nodeDatabase) sql(t testing.TB, command string) string {
	t.Helper()
	return d.SQL(t, d.url, command)
}

func (d *nodeDatabase) through(p *proxy) string {
	u, err := url.Parse(d.url)
	if err != nil {
		panic(err)
	}
	u.Host = p.address()
	return u.String()
}

func configOf(t testing.TB, url string) *pgx.ConnConfig {
	t.Helper()
	config, err := postgres.Config(url)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// join starts a member. Its writer connects to the database directly, its node as o says.
func (d *nodeDatabase) join(t testing.TB, name string, o Options) *member {
	t.Helper()
	if o.Config == nil {
		o.Config = configOf(t, d.url)
	}
	o.Name = name
	n, err := Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	m := &member{Node: n, memory: &memory{keys: make(map[apikey.ID]bool)}, chain: name}
	config, err := pgx.ParseConfig(d.url)
	if err != nil {
		t.Fatal(err)
	}
	m.pool = stdlib.OpenDB(*config)
	t.Cleanup(func() { _ = m.pool.Close() })
	n.Watch(m.memory)
	if o.Caches {
		eventually(t, name+" trusts what it remembers", m.memory.trusts)
	}
	return m
}

// commit commits and announces a change, as the writer does.
func (m *member) commit(c Change) (*Announced, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tx, err := m.pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	c.Chain, c.Event = m.chain, apikey.NewID()
	events := max(1, len(c.Keys))
	err = tx.QueryRowContext(ctx, `INSERT INTO audit_chains (chain, event_id, seq) VALUES ($1, $2, $3)
		ON CONFLICT (chain) DO UPDATE SET event_id = excluded.event_id, seq = audit_chains.seq + $3
		RETURNING seq`, c.Chain, c.Event[:], events).Scan(&c.To)
	if err != nil {
		return nil, err
	}
	c.From = c.To - int64(events) + 1
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	return m.Announce(c), nil
}

// change makes a change, and returns when it is settled.
func (m *member) change(t testing.TB, c Change) (took time.Duration) {
	t.Helper()
	a, err := m.commit(c)
	if err != nil {
		t.Error(err)
		return 0
	}
	began, settled := time.Now(), make(chan struct{})
	go func() {
		defer close(settled)
		a.Settle(m.pool)
	}()
	select {
	case <-settled:
	case <-time.After(time.Minute):
		t.Error("a change is not settled after a minute")
	}
	return time.Since(began)
}

// newKeys returns keys that members have in their caches.
func newKeys(n int, members ...*member) []apikey.ID {
	keys := newIDs(n)
	for _, m := range members {
		m.memory.remember(keys)
	}
	return keys
}

// proxy is between a node and the database, and can interrupt the connection in two ways.
type proxy struct {
	listener net.Listener
	target   string
	ended    sync.WaitGroup

	mu     sync.Mutex
	mute   bool // traffic is dropped silently
	closed bool // no connection is accepted
	ends   map[net.Conn]bool
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, ends: make(map[net.Conn]bool)}
	p.ended.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.shut()
		p.ended.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		p.mu.Lock()
		if err != nil || p.closed {
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
		} else {
			p.ends[client], p.ends[server] = true, true
			p.ended.Go(func() { p.pipe(client, server) })
			p.ended.Go(func() { p.pipe(server, client) })
		}
		p.mu.Unlock()
	}
}

func (p *proxy) pipe(to, from net.Conn) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		mute := p.mute
		p.mu.Unlock()
		if mute && err == nil {
			continue // lost: the stream stays broken
		}
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}

// shut breaks all connections, and accepts none.
func (p *proxy) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for end := range p.ends {
		_ = end.Close()
	}
	clear(p.ends)
}

// silence drops all traffic from now on.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// restore lets new connections work.
func (p *proxy) restore() {
	p.shut()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute, p.closed = false, false
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: " + what)
		}
	}
}
