// Package cli is the command line of apikeyd.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"apikeyd/apikey"
	"apikeyd/internal/keyfield"
	"apikeyd/store/dbname"
)

// The exit statuses of the program.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	// exitInterrupted is the status that shells report for SIGINT.
	exitInterrupted = 130
	// exitTerminated is the status that shells report for SIGTERM.
	exitTerminated = 143
)

// Main runs the command line of this process and ends it.
func Main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// commands is the grammar of the command line, which kong reads.
type commands struct {
	Serve        serveCommand        `cmd:"" help:"Serve the API. On an empty database, create the first key."`
	Keys         keysCommands        `cmd:"" help:"Manage keys, on a server or directly in the database."`
	Owners       ownersCommands      `cmd:"" help:"Manage owners: what applies to all keys of a customer together."`
	Leaks        leaksCommands       `cmd:"" help:"Report secrets that leaked."`
	Import       importCommand       `cmd:"" help:"Import keys of another service, whose secrets keep working."`
	Webhooks     webhooksCommands    `cmd:"" help:"Manage webhooks, which hear of changes."`
	Login        loginCommand        `cmd:"" help:"Store a server and your key for it as a profile."`
	Logout       logoutCommand       `cmd:"" help:"Remove a profile."`
	Profiles     profilesCommand     `cmd:"" help:"List profiles."`
	Backup       backupCommand       `cmd:"" help:"Copy the database into a file, even while it is served."`
	Restore      restoreCommand      `cmd:"" help:"Restore a backup into a new database."`
	MigrateStore migrateStoreCommand `cmd:"" help:"Move everything between SQLite and PostgreSQL."`
	Doctor       doctorCommand       `cmd:"" help:"Check configuration, files and database."`
	Audit        auditCommands       `cmd:"" help:"Verify and export the audit log; a server may run meanwhile."`
	Conformance  conformanceCommand  `cmd:"" help:"Check a running deployment against its contract."`
	Healthcheck  healthcheckCommand  `cmd:"" help:"Ask the server on this machine whether it is ready."`
	Completion   completionCommand   `cmd:"" help:"Print a script that completes commands in your shell."`
	Man          manCommand          `cmd:"" help:"Print the manual page of all commands."`
	Complete     completeCommand     `cmd:"" hidden:"" name:"__complete"`
	Version      versionCommand      `cmd:"" help:"Print the version."`
}

// errAlreadyReported ends a command with exitFailure after its output has said why.
var errAlreadyReported = errors.New("")

// databaseFlag is shared by every command that opens the database.
type databaseFlag struct {
	Database string `default:"apikeyd.db" env:"APIKEYD_DATABASE" placeholder:"FILE" help:"SQLite file (${default}), or postgres://USER@HOST/DATABASE."`
}

// Validate refuses malformed names before a database is created.
func (f databaseFlag) Validate() error { return checkDatabase("--database", f.Database) }

func checkDatabase(flag, name string) error {
	if err := dbname.Check(name); err != nil {
		return fmt.Errorf("%s %w", flag, err)
	}
	return nil
}

func (f databaseFlag) isPostgres() bool { return dbname.IsPostgres(f.Database) }

// file refuses a database that is not a file.
func (f databaseFlag) file() error {
	if f.isPostgres() {
		return errors.New("--database must name a SQLite file here; PostgreSQL has tools of its own for this (docs/scaling.md)")
	}
	return nil
}

// policyFlags are shared by the commands that create keys.
type policyFlags struct {
	KeyPrefix string `default:"ak" env:"APIKEYD_KEY_PREFIX" help:"The prefix of new secrets (${default})."`
	lifetimeFlag
}

// lifetimeFlag is shared by the commands that set a key's expiry.
type lifetimeFlag struct {
	MaxKeyLifetime time.Duration `default:"0" env:"APIKEYD_MAX_KEY_LIFETIME" placeholder:"DURATION" help:"The longest lifetime of a new or changed key, from the request, such as 90d; 0 is unlimited (0)."`
}

func (f policyFlags) policy() (apikey.Policy, error) {
	if err := apikey.CheckPrefix(f.KeyPrefix); err != nil {
		return apikey.Policy{}, fmt.Errorf("--key-prefix: %w", err)
	}
	longest, err := f.lifetime()
	return apikey.Policy{Prefix: f.KeyPrefix, MaxLifetime: longest}, err
}

func (f lifetimeFlag) lifetime() (time.Duration, error) {
	if f.MaxKeyLifetime < 0 {
		return 0, errors.New("--max-key-lifetime must not be negative")
	}
	return f.MaxKeyLifetime, nil
}

// newParser returns a parser that knows at least the command that args begin with.
func newParser(stdout, stderr io.Writer, args ...string) *kong.Kong {
	return kong.Must(&commands{},
		kong.Name("apikeyd"),
		kong.Description("A self-hosted API key service. Every flag with an environment variable can be set by it."),
		kong.Writers(stdout, stderr),
		durations,
		kong.Vars{"texts": keyfield.Labels(), "reasons": reasonList()},
		kong.IgnoreFields(otherCommands(args)),
	)
}

// otherCommands returns a pattern for the fields of all commands but the one that args begin with.
// Parsing the tags of all commands takes longer than most commands run.
func otherCommands(args []string) string {
	var others []string
	for level := reflect.TypeFor[commands](); len(args) > 0; args = args[1:] {
		var named reflect.Type
		var siblings []string
		for field := range level.Fields() {
			_, isCommand := field.Tag.Lookup("cmd")
			if isCommand && strings.ToLower(field.Name) == args[0] && field.Tag.Get("name") == "" {
				named = field.Type
			} else if isCommand {
				siblings = append(siblings, level.Name()+`\.`+field.Name)
			}
		}
		if named == nil {
			break
		}
		level, others = named, append(others, siblings...)
	}
	return "^(" + strings.Join(others, "|") + ")$"
}

// run runs one command line and returns the exit status.
func run(args []string, stdin *os.File, stdout, stderr io.Writer) int {
	out := &results{Writer: stdout}
	args = withoutAliases(args)
	parser := newParser(out, stderr, args...)
	command, err := parse(parser, args)
	if out.err != nil { // of --help
		parser.Errorf("%s", out.err)
		return exitFailure
	}
	if err != nil {
		message := explainUsage(err, args)
		parser.Errorf("%s", redact(message, args))
		if apikey.Redact(message) != message {
			fmt.Fprintln(stderr, "A secret in an argument can be read by all users of this machine: "+
				"give it on standard input, at a prompt, in a file, or in the environment.")
		}
		fmt.Fprintln(stderr, "Run apikeyd --help to see what it takes.")
		return exitUsage
	}
	ctx, stop := interruptible(stderr)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(streams{newInput(stdin), out, stderr})
	err = command.Run()
	if out.err != nil && !errors.Is(err, out.err) {
		err = errors.Join(err, out.err)
	}
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		parser.Errorf("interrupted")
		return exitInterrupted
	case strings.TrimSpace(err.Error()) != "": // errAlreadyReported is empty
		parser.Errorf("%s", strings.TrimSpace(redact(err.Error(), args)))
	}
	return exitFailure
}

// interruptible returns a context that the first SIGINT or SIGTERM ends. The second one ends the process,
// with the status that shells report for it. As process 1 of a container, it would survive the default action.
func interruptible(stderr io.Writer) (ctx context.Context, stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-done:
			return
		}
		cancel()
		select {
		case second := <-signals:
			fmt.Fprintln(stderr, "apikeyd: interrupted again; ending at once")
			status := exitInterrupted
			if second == syscall.SIGTERM {
				status = exitTerminated
			}
			os.Exit(status)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// withoutAliases translates "help COMMAND" and "--version" into what the grammar knows.
func withoutAliases(args []string) []string {
	switch {
	case len(args) > 0 && args[0] == "help":
		return append(args[1:len(args):len(args)], "--help")
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	}
	return args
}

// redact removes from a message all secrets and database passwords of the command line and the
// environment. Commands never print a database's URL; this is for the parser's messages, and for a URL
// in the wrong place.
func redact(text string, args []string) string {
	for _, variable := range os.Environ() {
		if _, value, _ := strings.Cut(variable, "="); strings.HasPrefix(variable, "APIKEYD_") {
			args = append(args[:len(args):len(args)], value)
		}
	}
	for _, arg := range args {
		if dbname.Redact(arg) != arg { // as a whole, because a password may contain white space
			text = strings.ReplaceAll(text, arg, dbname.Show(arg))
			text = strings.ReplaceAll(text, strings.Trim(strconv.Quote(arg), `"`), dbname.Show(arg))
		}
	}
	return apikey.Redact(dbname.Redact(text))
}

// parse parses the command line. It refuses invalid UTF-8, which the parser would change silently.
func parse(parser *kong.Kong, args []string) (*kong.Context, error) {
	for _, arg := range args {
		if !utf8.ValidString(arg) {
			return nil, fmt.Errorf("the argument %q is not valid UTF-8", arg)
		}
	}
	if err := refuseEmptyVariables(parser, args); err != nil {
		return nil, err
	}
	return parser.Parse(args)
}

// refuseEmptyVariables refuses an empty environment variable where a flag needs a value. The parser
// would name only the flag, which was not typed.
func refuseEmptyVariables(parser *kong.Kong, args []string) error {
	ctx, err := kong.Trace(parser, args)
	if err != nil {
		return nil // the parser reports it
	}
	typed := typedFlags(ctx)
	for _, flag := range ctx.Flags() {
		isText := flag.Target.Kind() == reflect.String || flag.IsSlice()
		if typed[flag.Name] || isText && !flag.HasDefault && !flag.Required {
			continue
		}
		for _, name := range flag.Envs {
			if value, set := os.LookupEnv(name); set && strings.TrimSpace(value) == "" {
				return emptyVariable(name, flag.Name)
			}
		}
	}
	return nil
}

func emptyVariable(name, flag string) error {
	return fmt.Errorf("%s is set but empty, and --%s needs a value: unset the variable or give it one", name, flag)
}
