package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"apikeyd/apikey"
	"apikeyd/console"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	"apikeyd/internal/telemetry/tracing"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

type serveCommand struct {
	databaseFlag
	policyFlags
	logFlags
	metricsFlag
	protectionFlags
	tlsFlags
	consoleFlags
	notifyFlag
	Listen         string        `default:"127.0.0.1:8080" env:"APIKEYD_LISTEN" placeholder:"ADDRESS" help:"The address to listen on (${default}). 0.0.0.0:8080 means every IPv4 address of the machine, :8080 every address."`
	VerifyCache    int           `default:"100000" env:"APIKEYD_VERIFY_CACHE" placeholder:"KEYS" help:"How many verified keys to cache (${default}); 0 caches none."`
	Node           string        `env:"APIKEYD_NODE" placeholder:"NAME" help:"With PostgreSQL, the name of this node's chain of audit events (the name of the machine)."`
	AuditRetention time.Duration `default:"0" env:"APIKEYD_AUDIT_RETENTION" placeholder:"DURATION" help:"How long audit events are kept, such as 1y, at least 1d; 0 is forever (0)."`
	Pprof          string        `env:"APIKEYD_PPROF" placeholder:"ADDRESS" help:"Serve Go's profiles at this loopback address, such as 127.0.0.1:6060 (off)."`
	AdminKeyFile   string        `env:"APIKEYD_ADMIN_KEY_FILE" placeholder:"FILE" help:"Where the first key is written (admin.key next to the database, or with PostgreSQL in the current folder)."`
}

// Help teaches the command.
func (serveCommand) Help() string {
	return `Examples:

    # On http://127.0.0.1:8080, with apikeyd.db and admin.key in this folder
    apikeyd serve

    # Elsewhere, and no key lives longer than 90 days
    apikeyd serve --listen 127.0.0.1:9000 --database /var/lib/apikeyd/keys.db --max-key-lifetime 90d`
}

// Run serves until ctx ends, then stops accepting, finishes what is in flight,
// writes what is in memory and closes the store.
func (c *serveCommand) Run(ctx context.Context, s streams) (err error) {
	hangups := serveSignals()
	log := slog.New(c.logHandler(s.err))
	policy, err := c.policy()
	if err != nil {
		return err
	}
	// Before the database: what cannot be served must leave nothing behind.
	certificate, err := c.load(log, time.Now)
	if err != nil {
		return err
	}
	sessions, err := c.consoleKey(log)
	if err != nil {
		return err
	}
	listeners, err := c.listen(ctx, log)
	if err != nil {
		return err
	}
	defer listeners.close()
	tracer, err := tracing.Start(ctx, os.LookupEnv, log, version())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTracing(tracer)) }()
	db, err := c.openToServe(ctx, policy, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	restored, err := newRestoreWatch(ctx, db, log)
	if err != nil {
		return err
	}
	service, err := c.newService(db, restored, policy, tracer, slog.New(tracer.LogHandler(log.Handler())))
	if err != nil {
		return err
	}
	if service.server.Handler, err = c.withConsole(service.server.Handler, sessions, policy, restored, service.log); err != nil {
		return err
	}
	service.server.Handler = drained(service.server.Handler)
	service.listener, service.certificate, service.hangups = listeners.api, certificate, hangups
	defer serveMetrics(ctx, listeners.metrics, service.metrics, service.log)()
	if err := c.announce(ctx, service); err != nil {
		return err
	}
	return service.until(ctx)
}

// listeners are where a server listens.
type listeners struct {
	api, metrics net.Listener
	stopPprof    func()
}

// listen takes all addresses, or none.
func (c *serveCommand) listen(ctx context.Context, log *slog.Logger) (l listeners, err error) {
	api, err := listenAt(ctx, "--listen", c.Listen)
	if err != nil {
		return l, err
	}
	l.api = c.limitConnections(api, log)
	if l.metrics, err = c.listenMetrics(ctx); err != nil {
		return l, errors.Join(err, l.api.Close())
	}
	if l.stopPprof, err = servePprof(ctx, c.Pprof, log); err != nil {
		return l, errors.Join(err, l.api.Close(), l.metrics.Close())
	}
	return l, nil
}

func (l listeners) close() {
	l.stopPprof()
	_ = errors.Join(l.metrics.Close(), l.api.Close()) // whoever served at them closed them already
}

// openToServe opens the database, in which there is a key from then on.
func (c *serveCommand) openToServe(ctx context.Context, policy apikey.Policy, log *slog.Logger) (*sqlstore.DB, error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: c.Database, Serve: true, Node: c.node(), Log: log})
	if err != nil {
		return nil, err
	}
	first := firstKey{db: db, policy: policy, file: c.adminKeyFile(), log: log, now: time.Now}
	if err := first.ensure(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// newService makes what serves a database. Where it listens is for the caller to say.
func (c *serveCommand) newService(
	db *sqlstore.DB, restored *restoreWatch, policy apikey.Policy, tracer *tracing.Tracer, log *slog.Logger,
) (service, error) {
	traced := tracer.Store(db, db.System())
	verifier := verify.New(keycache.New(traced, c.cacheOptions()), log, verify.Options{Budget: db.Budget()})
	m, err := c.newMetrics(db, verifier, restored, log)
	if err != nil {
		return service{}, err
	}
	handler, err := handlers.New(handlers.Config{
		Store: traced, Verifier: verifier, Policy: policy, Log: log, Now: time.Now,
		Observers: append(m.Observers(), tracer.Observers()...), RefusalLines: c.LogRefusals,
		TrustedProxies: c.trustedProxies(), AuthFailures: c.authFailures(), Notices: restored.notices,
	})
	if err != nil {
		return service{}, err
	}
	server := newServer(handler)
	server.ErrorLog, server.ConnState = c.serverLog(log), m.ConnState()
	return service{
		server: server, verifier: verifier, metrics: m, restored: restored, log: log,
		retention: retention{log: db, keep: c.AuditRetention, every: retentionInterval, now: time.Now, out: log},
	}, nil
}

// announce says that a service is about to answer: what arrives from now on waits in the
// listener.
func (c *serveCommand) announce(ctx context.Context, s service) error {
	scheme := "https"
	if s.certificate == nil {
		scheme = "http"
		warnOfPlainText(s.listener, s.log)
	}
	at := func(path string) string { return urlOf(scheme, s.listener.Addr(), path) }
	s.log.Info("serving", "url", at(""), "docs", at("/docs"), "database", sqlstore.Name(c.Database), "version", version())
	if c.Console {
		s.log.Info("serving the console", "url", at(console.Path))
	}
	return c.notify(ctx, "READY=1")
}

func (c *serveCommand) cacheOptions() keycache.Options {
	if c.VerifyCache == 0 {
		return keycache.Options{Size: -1}
	}
	return keycache.Options{Size: c.VerifyCache}
}

// Validate refuses a number that is no good before anything is opened.
func (c *serveCommand) Validate() error {
	if c.VerifyCache < 0 {
		return errors.New("--verify-cache must not be negative")
	}
	if c.AuditRetention != 0 && c.AuditRetention < minRetention {
		return errors.New("--audit-retention must be 0, which is for ever, or at least 1d (24h)")
	}
	_, policy := c.policy()
	return errors.Join(c.databaseFlag.Validate(), policy, c.protectionFlags.Validate(), c.tlsFlags.Validate(), c.checkLog(),
		checkAddress("--listen", c.Listen), c.metricsFlag.Validate(), checkLoopback("--pprof", c.Pprof),
		tracing.Check(os.LookupEnv))
}

func (c *serveCommand) adminKeyFile() string {
	if c.AdminKeyFile != "" {
		return c.AdminKeyFile
	}
	if c.isPostgres() {
		return "admin.key" // in the current folder
	}
	return filepath.Join(filepath.Dir(c.Database), "admin.key")
}

// node is the name under which this process writes to PostgreSQL.
func (c *serveCommand) node() string {
	if c.Node != "" {
		return c.Node
	}
	host, err := os.Hostname()
	if err != nil {
		return "apikeyd"
	}
	return host
}
