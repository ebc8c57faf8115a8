package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/postgres"
	"apikeyd/store/sqlstore/lease"
)

// pgPoints and pgLists are how many connections read for one node: short reads, such as look-ups and probes, and
// long ones, such as searches.
const (
	pgPoints = 6
	pgLists  = 4
)

// postgresEngine is a database on a server, which other nodes change too. Each node has a chain of audit events
// of its own; a transaction that appends to a chain locks its head.
type postgresEngine struct {
	conn      *writeConn
	points    *sql.DB // for short reads
	node      *lease.Node
	before    int64            // the head's number when the transaction began
	announced *lease.Announced // the change of the last transaction
	settling  sync.WaitGroup
}

var _ engine = (*postgresEngine)(nil)

var postgresDialect = dialect{
	system:      "postgresql",
	rowLock:     ` FOR UPDATE`,
	snapshot:    sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead},
	failureEnds: true,
	// Not FOR SHARE: as long as others keep sharing a row's lock, nobody gets to change the row. These locks have a
	// queue.
	lockActor:  `SELECT pg_advisory_xact_lock_shared($1)`,
	lockChange: `SELECT pg_advisory_xact_lock($1)`,
	// It leaves time to try other hosts.
	lookupTimeout: 3 * time.Second,
	translate:     postgres.Translate,
	sessionEnded:  postgres.SessionEnded,
	deadlocked:    postgres.Deadlocked,
}

// openPostgres opens a database on a server, but does not start the writer.
func (db *DB) openPostgres(ctx context.Context, o Options) error {
	return postgres.Explain(db.joinPostgres(ctx, o))
}

func (db *DB) joinPostgres(ctx context.Context, o Options) error {
	db.use(&postgresDialect)
	config, err := postgres.Config(o.Path)
	if err != nil {
		return err
	}
	pool := func(config *pgx.ConnConfig, connections int) *sql.DB {
		p := postgres.OpenPool(config, connections)
		db.opened = append(db.opened, p)
		return p
	}
	// Short reads must not wait for lists, which may take long.
	byIndex := postgres.ByIndex(config)
	writing, points, lists := pool(byIndex, 1), pool(byIndex, pgPoints), pool(config, pgLists)
	schema := SchemaOf(o.Path)
	if err := schema.check(ctx, points, o.Serve); err != nil {
		return err
	}
	if o.Serve {
		if err := schema.Migrate(ctx, points, o.Log); err != nil {
			return err
		}
	}
	e := &postgresEngine{conn: &writeConn{pool: writing}, points: points}
	db.engine, db.points, db.reader = e, newSQLPool(points, &db.dialect.snapshot), newSQLPool(lists, &db.dialect.snapshot)
	db.opened = append(db.opened, e.conn)
	db.turns = newTurns(pgLists)
	db.writer = newWriter(e.conn, db, o.Node, o.Log)
	db.budget = &budget{pool: points, condition: db.condition}
	zero := apikey.Hash{}
	_, err = points.ExecContext(ctx, `INSERT INTO audit_chains (chain, event_id, seq, hash) VALUES ($1, $2, 0, $3)
		ON CONFLICT (chain) DO NOTHING`, o.Node, make([]byte, len(apikey.ID{})), zero[:])
	if err != nil {
		return err
	}
	db.node, err = lease.Join(ctx, lease.Options{Config: config, Name: o.Node, Caches: o.Serve, Log: o.Log})
	e.node = db.node
	return err
}

func (e *postgresEngine) begin(w *writer) error {
	w.forget() // other nodes may have changed the acting keys
	err := e.lockHead(w)
	if postgres.SessionEnded(err) && e.conn.ctx.Err() == nil {
		e.conn.drop() // the session may have ended long ago, and nothing was begun
		err = e.lockHead(w)
	}
	return err
}

// beginText begins a transaction that PostgreSQL ends if its node falls silent: others wait for its locks, and a
// node that is cut off cannot release them.
const beginText = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL idle_in_transaction_session_timeout = '2s'`

// lockHead begins a transaction that appends to the writer's chain.
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
		return w.exec(`COMMIT`) // only last uses: they can be repeated
	}
	change := lease.Change{Chain: w.chain, From: e.before + 1, To: w.head.Seq, Event: w.head.event, Keys: changed}
	err := w.exec(`COMMIT`)
	if err != nil && !postgres.RolledBack(err) {
		err = e.resolve(w, err)
	}
	if err == nil {
		e.announced = e.node.Announce(change)
	}
	return err
}

// resolveFor is how long the writer tries to find out the outcome of a COMMIT.
const resolveFor = 8 * time.Second

// resolve finds out the outcome of a COMMIT that was not answered. As long as it may still be committed, the
// transaction holds the lock on its chain's head: once the lock is ours, its last event is there or not.
func (e *postgresEngine) resolve(w *writer, cause error) error {
	last := *w.head
	for deadline := time.Now().Add(resolveFor); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		e.conn.drop()
		if err := e.lockHead(w); err != nil {
			continue
		}
		var made int
		err := first(context.Background(), w, `SELECT count(*) FROM audit_events WHERE id = $1 AND hash = $2`,
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

// settle lets the writer continue while other nodes acknowledge.
func (e *postgresEngine) settle(done func()) {
	announced := e.announced
	e.settling.Go(func() {
		announced.Settle(e.points)
		done()
	})
}

// Nodes returns the nodes that serve a PostgreSQL database now, this one included; none for a file.
func (db *DB) Nodes(ctx context.Context) (nodes []lease.Member, err error) {
	e, is := db.engine.(*postgresEngine)
	if !is {
		return nil, nil
	}
	err = db.read(ctx, func() error {
		brief, done := db.brief(ctx)
		defer done()
		nodes, err = e.node.Members(brief, e.points)
		return err
	})
	return nodes, err
}

func (e *postgresEngine) close() error {
	e.settling.Wait()
	if e.node != nil {
		e.node.Close()
	}
	return nil
}
