// Package lease keeps the caches of several nodes on one PostgreSQL database correct, as docs/consistency.md
// says: a change is announced after its commit, and is settled once every other node has acknowledged it or
// has lost its lease. The package knows no keys, only their ids and the chains of events that changes belong to.
package lease

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"apikeyd/apikey"
	"apikeyd/store/postgres"
)

const (
	// defaultLease is how long a node trusts its cache without hearing from the database, and so how long a
	// change may have to wait for a node that is lost.
	defaultLease = 2 * time.Second
	// renewalsPerLease is how often a lease is renewed while it lasts.
	renewalsPerLease = 4
	// latePart is the part of its lease for which a renewal waits for notifications that may be under way.
	latePart = 20
	// driftPart is the part of its lease that a node gives away, because its clock may run slower than the
	// clock of a node that waits for it.
	driftPart = 20

	minBackoff = 50 * time.Millisecond
	maxBackoff = time.Second
)

// Options says how a process takes part. Only Config is needed.
type Options struct {
	Config *pgx.ConnConfig // of the database itself: LISTEN needs a session of its own
	Name   string          // for people
	Length time.Duration   // of the lease; 0 is the default
	Caches bool            // whether the process caches keys; else it only makes changes
	Log    *slog.Logger    // nil discards
}

// Node is one of several processes on one PostgreSQL database. It keeps the process's cache correct, and makes
// sure that its changes are in force on all other nodes before they are answered. model_test.go has a model of
// the protocol.
//
// One goroutine has the connection that hears changes and acknowledgements, and renews the lease.
type Node struct {
	options Options
	id      string // unlike any other process's, even of the same name
	applied
	peers   peers
	pending pending

	owed     map[string]int64 // the last applied event of each chain that is not acknowledged yet
	renewals int64
	outage   error // why there is no connection; nil while there is one

	cancel  context.CancelFunc
	stopped sync.WaitGroup
	tried   chan struct{} // closed when the first connection was tried
}

// Join starts a node. If the database cannot be reached now, the node keeps trying. The caller must Close it.
func Join(ctx context.Context, o Options) (*Node, error) {
	if o.Length == 0 {
		o.Length = defaultLease
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		options: o, id: apikey.NewID().String(),
		owed: make(map[string]int64), tried: make(chan struct{}),
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.cancel = cancel
	n.stopped.Go(func() { n.run(run) })
	select {
	case <-n.tried:
	case <-ctx.Done():
		n.Close()
		return nil, ctx.Err()
	}
	return n, nil
}

// Close leaves: the cache is not trusted any more, so nobody has to wait for this node.
func (n *Node) Close() {
	n.cancel()
	n.stopped.Wait()
}

// run connects again whenever the connection is lost. Meanwhile trust runs out.
func (n *Node) run(ctx context.Context) {
	defer n.trust(time.Time{})
	first := sync.OnceFunc(func() { close(n.tried) })
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		err := n.session(ctx, func() {
			first()
			n.restored()
			wait = minBackoff
		})
		first()
		if ctx.Err() != nil {
			return
		}
		n.lost(err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) lost(err error) {
	if n.outage == nil {
		n.outage = err
		n.options.Log.Error("the connection on which changes are heard is lost; cached keys will not be used once the lease ends", "error", err)
	}
}

func (n *Node) restored() {
	if n.outage != nil {
		n.outage = nil
		n.options.Log.Info("changes are heard again")
	}
}

// session is one connection.
type session struct {
	*Node
	conn  *pgx.Conn
	inbox []*pgconn.Notification
}

// session connects and works until the connection is lost, or until ctx ends and it leaves.
func (n *Node) session(ctx context.Context, ready func()) (err error) {
	s := &session{Node: n}
	onNotification := func(_ *pgconn.PgConn, m *pgconn.Notification) { s.inbox = append(s.inbox, m) }
	if s.conn, err = postgres.Connect(ctx, n.options.Config, onNotification); err != nil {
		return err
	}
	defer s.disconnect()
	// First, so that the heads that this connection reads have whatever it does not hear.
	if err := s.listen(); err != nil {
		return err
	}
	renewed := time.Now()
	if err := s.renew(0); err != nil { // what was sent before is lost
		return err
	}
	ready()
	for {
		if err := s.receive(); err != nil {
			return err
		}
		if due := renewed.Add(n.options.Length / renewalsPerLease); time.Now().Before(due) {
			err = s.wait(ctx, due)
		} else {
			renewed = time.Now()
			err = s.renew(n.options.Length / latePart)
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return s.leave()
		}
	}
}

// wait returns when something is in the inbox, the time is over, or ctx ends.
func (s *session) wait(ctx context.Context, until time.Time) error {
	if len(s.inbox) > 0 {
		return nil // it came with the result of a statement
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	err := s.conn.PgConn().WaitForNotification(ctx)
	if ctx.Err() != nil && !s.conn.IsClosed() {
		return nil
	}
	return err
}

func (s *session) listen() error {
	channels := []string{acksChannel}
	if s.options.Caches {
		channels = append(channels, changesChannel)
	}
	for _, channel := range channels {
		if err := s.exec(`LISTEN ` + channel); err != nil {
			return err
		}
	}
	return nil
}

// timeout is for a statement: one that takes longer than a lease is useless.
func (s *session) timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.options.Length)
}

func (s *session) exec(query string, args ...any) error {
	ctx, cancel := s.timeout()
	defer cancel()
	_, err := s.conn.Exec(ctx, query, args...)
	return err
}

// leave tells all nodes that they need not wait for this one, once that is true.
func (s *session) leave() error {
	s.trust(time.Time{})
	return s.exec(`DELETE FROM nodes WHERE node = $1`, s.id)
}

func (s *session) disconnect() {
	ctx, cancel := s.timeout()
	defer cancel()
	// A broken connection is closed at once: pgx would keep talking to it for a while.
	_ = errors.Join(s.conn.Close(ctx), s.conn.PgConn().Conn().Close())
}
