package sqlstore

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
	// defaultLease is how long a node trusts what it remembers without hearing from the
	// database, and so how long a change may have to wait for a node that is lost.
	defaultLease = 2 * time.Second
	// renewalsPerLease is how often a lease is renewed while it lasts.
	renewalsPerLease = 4
	// driftPart is which part of its lease a node gives away, because its clock may run
	// slower than that of whoever waits for it.
	driftPart = 20

	minBackoff = 50 * time.Millisecond
	maxBackoff = time.Second
)

// nodeOptions says how a process takes part. Only url is needed.
type nodeOptions struct {
	url      string        // of the database itself: LISTEN needs a session of its own
	name     string        // for people
	lease    time.Duration // 0 is the default
	remember bool          // whether the process remembers keys; else it only makes changes
	log      *slog.Logger
}

// node is a process among several on one PostgreSQL database. It keeps what the process
// remembers true, and makes sure that its changes are in force on all others before they
// are answered. docs/consistency.md has the protocol, lease_model_test.go a model of it.
//
// One goroutine has the connection that hears of changes and acknowledgements, and renews
// the lease.
type node struct {
	nodeOptions
	id     string // unlike any other process's, even of the same name
	config *pgx.ConnConfig
	applied
	peers peers
	waits waits

	owed     map[string]int64 // what was applied of each chain and is not acknowledged yet
	renewals int64
	outage   error // why the connection is away; nil while it is there

	cancel  context.CancelFunc
	stopped sync.WaitGroup
	tried   chan struct{} // closed when the first connection was tried
}

// startNode joins, or tries to: if the database cannot be reached now, it goes on trying.
// The caller must close the node.
func startNode(ctx context.Context, o nodeOptions) (*node, error) {
	if o.lease == 0 {
		o.lease = defaultLease
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	config, err := postgres.Config(o.url)
	if err != nil {
		return nil, err
	}
	n := &node{
		nodeOptions: o, id: apikey.NewID().String(), config: config,
		owed: make(map[string]int64), tried: make(chan struct{}),
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.cancel = cancel
	n.stopped.Go(func() { n.run(run) })
	select {
	case <-n.tried:
	case <-ctx.Done():
		n.close()
		return nil, ctx.Err()
	}
	return n, nil
}

// close leaves: nothing remembered counts any more, so nobody has to wait for this node.
func (n *node) close() {
	n.cancel()
	n.stopped.Wait()
}

// run connects again whenever the connection is lost. Meanwhile trust runs out.
func (n *node) run(ctx context.Context) {
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

func (n *node) lost(err error) {
	if n.outage == nil {
		n.outage = err
		n.log.Error("the connection on which changes are heard is lost; remembered keys soon count no more", "error", err)
	}
}

func (n *node) restored() {
	if n.outage != nil {
		n.outage = nil
		n.log.Info("changes are heard again")
	}
}

// session is one connection.
type session struct {
	*node
	conn  *pgx.Conn
	inbox []*pgconn.Notification
}

// session connects and works until the connection is lost or ctx ends, when it leaves.
func (n *node) session(ctx context.Context, ready func()) (err error) {
	s := &session{node: n}
	onNotification := func(_ *pgconn.PgConn, m *pgconn.Notification) { s.inbox = append(s.inbox, m) }
	if s.conn, err = postgres.Connect(ctx, n.config, onNotification); err != nil {
		return err
	}
	defer s.hangUp()
	// First, so that what this connection does not hear is in the heads that it reads.
	if err := s.listen(); err != nil {
		return err
	}
	renewed := time.Now()
	if err := s.renew(); err != nil {
		return err
	}
	ready()
	for {
		if err := s.hear(); err != nil {
			return err
		}
		if due := renewed.Add(n.lease / renewalsPerLease); time.Now().Before(due) {
			err = s.wait(ctx, due)
		} else {
			renewed = time.Now()
			err = s.renew()
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
		return nil // it came with the answer to a statement
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
	if s.remember {
		channels = append(channels, changesChannel)
	}
	for _, channel := range channels {
		if err := s.exec(`LISTEN ` + channel); err != nil {
			return err
		}
	}
	return nil
}

// timeout is for a statement. One that takes longer than a lease is of no use.
func (s *session) timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.lease)
}

func (s *session) exec(query string, args ...any) error {
	ctx, cancel := s.timeout()
	defer cancel()
	_, err := s.conn.Exec(ctx, query, args...)
	return err
}

// leave tells all that nobody has to wait for this node, once that is so.
func (s *session) leave() error {
	s.trust(time.Time{})
	return s.exec(`DELETE FROM nodes WHERE node = $1`, s.id)
}

func (s *session) hangUp() {
	ctx, cancel := s.timeout()
	defer cancel()
	// One that failed is closed at once: pgx would talk to it for a while.
	_ = errors.Join(s.conn.Close(ctx), s.conn.PgConn().Conn().Close())
}
