package cli

import (
	"context"
	"errors"

	"apikeyd/internal/telemetry/tracing"
)

// closeTracing sends what is left, if the collector takes it in time: what cannot be sent
// is no reason to fail.
func closeTracing(t *tracing.Tracer) error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
