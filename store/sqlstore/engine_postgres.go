package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/postgres"
	"apikeyd/store/sqlstore/lease"
)

// pgPoints and pgLists are how many connections read for one node: for what is short, such as look-ups and
// probes, and for what may take long, such as searches.
const (
	pgPoints = 6
	pgLists  = 4
)

// postgresEngine is a database on a server, which other nodes write to as well. Each node
// has a chain of audit events of its own; its head is locked by the transaction that goes
// on with it.
type postgresEngine struct {
	conn      *writeConn
	points    *sql.DB // for what is short
	node      *lease.Node
	before    int64            // the head's number when the transaction began
	announced *lease.Announced // what the last transaction tells other nodes
	settling  sync.WaitGroup
}

var _ engine = (*postgresEngine)(nil)

// openPostgres opens a database on a server, all but starting the writer.
func (db *DB) openPostgres(ctx context.Context, o Options) error {
	return postgres.Explain(db.joinPostgres(ctx, o))
}

func (db *DB) joinPostgres(ctx context.Context, o Options) error {
	db.condition = &condition{driver: postgres.Translate}
	config, err := postgres.Config(o.Path)
	if err != nil {
		return err
	}
	pool := func(connections int) *sql.DB {
		p := postgres.OpenPool(config, connections)
		db.pools = append(db.pools, p)
		return p
	}
	// What is short must not wait for lists, which may take long.
	writing, points, lists := pool(1), pool(pgPoints), pool(pgLists)
	if err := checkPostgres(ctx, points, o.Serve); err != nil {
		return err
	}
	if o.Serve {
		if err := migratePostgres(ctx, points); err != nil {
			return err
		}
	}
	e := &postgresEngine{conn: &writeConn{pool: writing}, points: points}
	db.engine, db.points, db.reader = e, unprepared{points}, lists
	db.turns = newTurns(pgLists)
	db.writer = newWriter(e.conn, db, o.Node, o.Log)
	db.budget = &budget{pool: points, condition: db.condition, engine: e}
	zero := apikey.Hash{}
	err = unprepared{points}.exec(`INSERT INTO audit_chains (chain, event_id, seq, hash) VALUES ($1, $2, 0, $3)
		ON CONFLICT (chain) DO NOTHING`, o.Node, make([]byte, len(apikey.ID{})), zero[:])
	if err != nil {
		return err
	}
	e.node, err = lease.Join(ctx, lease.Options{Config: config, Name: o.Node, Caches: o.Serve, Log: o.Log})
	return err
}

func (e *postgresEngine) begin(w *writer) error {
	w.forget() // others may have changed the keys that act
	err := e.lockHead(w)
	if postgres.SessionEnded(err) && e.conn.ctx.Err() == nil {
		e.conn.drop() // it may have been gone for long, and nothing was begun
		err = e.lockHead(w)
	}
	return err
}

// beginText begins a transaction that PostgreSQL ends if nothing is heard of its node: others
// wait for the locks that it has, and a node that is cut off cannot give them back.
const beginText = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL idle_in_transaction_session_timeout = '2s'`

// lockHead begins a transaction that goes on with the writer's chain.
func (e *postgresEngine) lockHead(w *writer) error {
	if err := e.conn.open(); err != nil {
		return err
	}
	if err := w.exec(beginText, pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	head, err := readHead(context.Background(), w, w.chain, ` FOR UPDATE`)
	w.head, e.before = &head, head.Seq
	return err
}

func (e *postgresEngine) commit(w *writer, changed []apikey.ID) error {
	if !w.linked {
		return w.exec(`COMMIT`) // it says when keys were used, and can be repeated
	}
	var err error
	e.announced, err = e.node.Announce(w.exec, lease.Change{
		Chain: w.chain, From: e.before + 1, To: w.head.Seq, Event: w.head.event, Keys: changed,
	})
	if err != nil {
		return err
	}
	err = w.exec(`COMMIT`)
	if err != nil && !postgres.RolledBack(err) {
		err = e.resolve(w, err)
	}
	if err != nil {
		e.announced.Abandon()
	}
	return err
}

// resolveFor is how long it is tried to find out what became of a transaction.
const resolveFor = 8 * time.Second

// resolve finds out what became of a COMMIT that was not answered. The transaction holds
// the lock on its chain's head as long as it may still be committed: whoever has the lock
// sees whether its last event is there.
func (e *postgresEngine) resolve(w *writer, cause error) error {
	last := *w.head
	for deadline := time.Now().Add(resolveFor); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		e.conn.drop()
		if err := e.lockHead(w); err != nil {
			continue
		}
		var made int
		err := w.QueryRowContext(context.Background(), `SELECT count(*) FROM audit_events WHERE id = $1 AND hash = $2`,
			last.event[:], last.Hash[:]).Scan(&made)
		_ = w.exec(`ROLLBACK`) // it only read
		switch {
		case err != nil:
		case made > 0:
			return nil
		default:
			return fmt.Errorf("%w: %w", store.ErrUnavailable, cause)
		}
	}
	return uncertain(cause)
}

// settle lets the writer go on while other nodes hear of its changes.
func (e *postgresEngine) settle(answered func()) {
	announced := e.announced
	e.settling.Go(func() {
		announced.Settle(e.points)
		answered()
	})
}

func (e *postgresEngine) watch(watcher store.Watcher) { e.node.Watch(watcher) }

// poll has nothing to do: each transaction reads what it needs anew.
func (e *postgresEngine) poll(*writer) error { return nil }

func (e *postgresEngine) rowLock() string { return ` FOR UPDATE` }

// breaks is true of every error that the server sent: it ends the transaction.
func (e *postgresEngine) breaks(err error) bool {
	_, sent := errors.AsType[*pgconn.PgError](err)
	return sent
}

func (e *postgresEngine) sessionEnded(err error) bool { return postgres.SessionEnded(err) }

func (e *postgresEngine) Present() error { return nil }

// briefTimeout bounds a look-up. It leaves time to try other hosts.
const briefTimeout = 3 * time.Second

// brief is finished even if who asks gives up: a connection that takes longer to be made than
// they wait, because the first host is silent, is there for who asks next.
func (e *postgresEngine) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), briefTimeout)
}

// chain is empty: which nodes there were, nobody knows.
func (e *postgresEngine) chain() string { return "" }

func (e *postgresEngine) snapshot() *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

// mergesExcept is false: EXCEPT sorts both sides first, where NOT EXISTS becomes a join.
func (e *postgresEngine) mergesExcept() bool { return false }

// sizes are not looked up: the server's own monitoring has them.
func (e *postgresEngine) sizes() (database, log int64) { return 0, 0 }

func (e *postgresEngine) system() string { return "postgresql" }

func (e *postgresEngine) Close() error {
	e.settling.Wait()
	if e.node != nil {
		e.node.Close()
	}
	return nil
}
