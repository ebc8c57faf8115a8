package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"apikeyd/handlers"
	"apikeyd/internal/basepath"
	"apikeyd/internal/signingkeys"
	"apikeyd/internal/telemetry/tracing"
	"apikeyd/store/dbname"
)

// Settings are the settings of a server. The struct tags describe the command line's flags.
type Settings struct {
	logFlags
	metricsFlag
	protectionFlags
	tlsFlags
	consoleFlags
	signInFlags
	notifyFlag
	socketFlags
	browserFlags
	activationFlags
	webhookFlags
	noticeFlags
	Listen           string        `default:"127.0.0.1:8080" env:"APIKEYD_LISTEN" placeholder:"ADDRESS" help:"The address to listen on (${default}). 0.0.0.0:8080 means every IPv4 address of the machine, :8080 every address, unix:/run/apikeyd/apikeyd.sock a Unix socket."`
	BasePath         string        `env:"APIKEYD_BASE_PATH" placeholder:"PATH" help:"Serve everything below this path, such as /keys, for a proxy that leaves it in requests (none). One that removes it reports it in X-Forwarded-Prefix instead."`
	VerifyCache      int           `default:"100000" env:"APIKEYD_VERIFY_CACHE" placeholder:"KEYS" help:"How many verified keys to cache (${default}); 0 caches none."`
	DefaultMaxKeys   int           `default:"10000" env:"APIKEYD_DEFAULT_MAX_KEYS" placeholder:"N" help:"How many keys that are neither revoked nor expired an owner without max_keys of its own may have, as far as callers without keys:admin create them (${default}); 0 is unlimited."`
	Node             string        `env:"APIKEYD_NODE" placeholder:"NAME" help:"With PostgreSQL, the name of this node's chain of audit events (the name of the machine)."`
	AuditRetention   time.Duration `default:"0" env:"APIKEYD_AUDIT_RETENTION" placeholder:"DURATION" help:"How long audit events are kept, such as 1y, at least 1d; 0 is forever (0)."`
	UsageHours       time.Duration `default:"192h" env:"APIKEYD_USAGE_HOURS" placeholder:"DURATION" help:"How long usage counts are kept by the hour, at least 1d; then they become days (8d)."`
	UsageDays        time.Duration `default:"9600h" env:"APIKEYD_USAGE_DAYS" placeholder:"DURATION" help:"How long usage counts are kept by the day, at least as long as by the hour (400d)."`
	ScanningKeys     string        `name:"secret-scanning-keys" env:"APIKEYD_SECRET_SCANNING_KEYS" placeholder:"FILE" help:"Receive GitHub's secret scanning, signed with the public keys in this file or at this https URL (off). GitHub's are at https://api.github.com/meta/public_keys/secret_scanning."`
	Pprof            string        `env:"APIKEYD_PPROF" placeholder:"ADDRESS" help:"Serve Go's profiles at this loopback address, such as 127.0.0.1:6060 (off)."`
	ImportPepperFile string        `env:"APIKEYD_IMPORT_PEPPER_FILE" placeholder:"FILE" help:"The pepper of keys that were imported as hmac-sha256, in this file (none)."`
	AdminKeyFile     string        `env:"APIKEYD_ADMIN_KEY_FILE" placeholder:"FILE" help:"Where the first key is written (admin.key next to the database, or with PostgreSQL in the current folder)."`
}

// CheckNumbers checks the numbers.
func (s *Settings) CheckNumbers() error {
	if s.VerifyCache < 0 {
		return errors.New("--verify-cache must not be negative")
	}
	if s.DefaultMaxKeys < 0 {
		return errors.New("--default-max-keys must not be negative")
	}
	if s.AuditRetention != 0 && s.AuditRetention < minRetention {
		return errors.New("--audit-retention must be 0 (forever) or at least 1d (24h)")
	}
	if s.UsageHours < minRetention {
		return errors.New("--usage-hours must be at least 1d (24h)")
	}
	if s.UsageDays < s.UsageHours {
		return errors.New("--usage-days must not be shorter than --usage-hours")
	}
	return nil
}

// Validate checks everything else.
func (s *Settings) Validate() error {
	return errors.Join(s.protectionFlags.Validate(), s.tlsFlags.Validate(), s.checkLog(), CheckListen("--listen", s.Listen), s.socketFlags.Validate(), s.checkBasePath(), s.signInFlags.Validate(),
		s.metricsFlag.Validate(), s.noticeFlags.Validate(), s.checkScanningKeys(), checkLoopback("--pprof", s.Pprof), tracing.Check(os.LookupEnv))
}

func (s *Settings) checkBasePath() error {
	if _, err := basepath.Parse(s.BasePath); err != nil {
		return fmt.Errorf("--base-path %w", err)
	}
	return nil
}

// belowBasePath serves a handler where a proxy publishes it.
func (s *Settings) belowBasePath(handler http.Handler) http.Handler {
	path, _ := basepath.Parse(s.BasePath) // Validate has checked it
	return basepath.Handler(handler, basepath.Options{Path: path, Trusts: s.trustsPeer})
}

func (s *Settings) checkScanningKeys() error {
	if err := signingkeys.Check(s.ScanningKeys); err != nil {
		return fmt.Errorf("--secret-scanning-keys %w", err)
	}
	return nil
}

// scanningKeys returns what verifies GitHub's secret scanning; nil if it is off.
func (s *Settings) scanningKeys(ctx context.Context, log *slog.Logger) (handlers.Signatures, error) {
	if s.ScanningKeys == "" {
		return nil, nil //nolint:nilnil // it is off
	}
	keys, err := signingkeys.Open(ctx, signingkeys.Source{Name: s.ScanningKeys, Now: time.Now, Log: log})
	if err != nil {
		return nil, fmt.Errorf("--secret-scanning-keys: %w", err)
	}
	return keys, nil
}

// AdminKeyPath returns where the first key is written.
func (c *Config) AdminKeyPath() string {
	if c.AdminKeyFile != "" {
		return c.AdminKeyFile
	}
	if dbname.IsPostgres(c.Database) {
		return "admin.key" // in the current folder
	}
	return filepath.Join(filepath.Dir(c.Database), "admin.key")
}

// node is the name of this process on PostgreSQL.
func (c *Config) node() string {
	if c.Node != "" {
		return c.Node
	}
	host, err := os.Hostname()
	if err != nil {
		return "apikeyd"
	}
	return host
}
