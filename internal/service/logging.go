package service

import (
	"errors"
	"io"
	"log"
	"log/slog"
	"strings"

	"apikeyd/apikey"
	"apikeyd/internal/telemetry/logging"
)

// logFlags configure the log.
type logFlags struct {
	LogFormat   string `default:"text" enum:"text,json" env:"APIKEYD_LOG_FORMAT" placeholder:"text|json" help:"The format of the log (${default})."`
	LogLevel    string `default:"info" enum:"info,warn,error" env:"APIKEYD_LOG_LEVEL" placeholder:"info|warn|error" help:"The lowest level that is logged (${default}); changes and refusals are info."`
	LogRefusals int    `default:"10" env:"APIKEYD_LOG_REFUSALS" placeholder:"LINES" help:"How many refusals of one kind are logged each second, with the others summed up (${default}); 0 is unlimited."`
}

func (f logFlags) checkLog() error {
	if f.LogRefusals < 0 {
		return errors.New("--log-refusals must not be negative")
	}
	return nil
}

// startLog starts the log. The caller closes the Writer after its last line.
func (f logFlags) startLog(to io.Writer) (*slog.Logger, *logging.Writer) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // the parser has checked it
	handler, w := logging.Start(to, f.LogFormat, level)
	return slog.New(handler), w
}

// serverLog is the error log of net/http. Strangers can cause any number of its lines, so they are limited.
func (f logFlags) serverLog(to *slog.Logger) *log.Logger {
	w := serverLog{to: to}
	if f.LogRefusals > 0 {
		w.few = logging.NewLimiter(f.LogRefusals, func(_ string, held int) {
			to.Warn("more connection errors were not logged one by one", "count", held)
		})
	}
	return log.New(w, "", 0)
}

type serverLog struct {
	to  *slog.Logger
	few *logging.Limiter // nil is unlimited
}

// Write implements io.Writer: net/http writes one line at a time.
func (w serverLog) Write(line []byte) (int, error) {
	if w.few == nil || w.few.Pass("server") {
		w.to.Warn("trouble with a connection", "error", apikey.Redact(strings.TrimSpace(string(line))))
	}
	return len(line), nil
}
