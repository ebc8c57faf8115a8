package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	// interval is how often the sender looks for events and deliveries that are due.
	interval = time.Second
	// inFlight is how many deliveries to one receiver run at a time.
	inFlight = 8
	// GiveUpAfter is how long a delivery is retried before its webhook is disabled.
	GiveUpAfter = 72 * time.Hour
	// statsInterval is how often the age of the oldest event is looked up.
	statsInterval = 10 * time.Second
)

// Queue has the methods of store.Store that a Sender calls.
type Queue interface {
	store.WebhookQueue
	Webhooks(ctx context.Context) ([]store.Webhook, error)
}

// Options are what a Sender needs.
type Options struct {
	Queue Queue
	Guard *Guard
	Log   *slog.Logger
	Now   func() time.Time
	Agent string // the User-Agent
}

// Sender delivers events, on one node at a time.
type Sender struct {
	Options
	tls, plain *http.Client

	mu      sync.Mutex
	busy    map[apikey.ID]bool // webhooks that are being served
	serving sync.WaitGroup
	stats   Stats
	looked  time.Time // when the oldest event was last looked up

	delivered, failed, disabled atomic.Uint64
}

// Stats are counts since the start, and the state now.
type Stats struct {
	Delivered, Failed, Disabled uint64        // attempts that succeeded or failed, and webhooks that were disabled because of them
	Enabled, Off                int           // enabled and disabled webhooks
	Oldest                      time.Duration // how long the oldest event has waited; 0 on nodes that do not deliver
}

// New returns a Sender.
func New(o Options) *Sender {
	return &Sender{Options: o, tls: o.Guard.client(false), plain: o.Guard.client(true), busy: make(map[apikey.ID]bool)}
}

// Stats returns the counts.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Delivered, stats.Failed, stats.Disabled = s.delivered.Load(), s.failed.Load(), s.disabled.Load()
	return stats
}

// Run delivers until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	defer s.close()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// close waits for attempts under way, which end with their context, and lets another node deliver.
func (s *Sender) close() {
	s.serving.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.Queue.ReleaseWebhooks(ctx); err != nil {
		s.Log.Warn("another node can take over deliveries to webhooks only after a delay", "error", err)
	}
	s.tls.CloseIdleConnections()
	s.plain.CloseIdleConnections()
}

// look starts to serve each idle webhook, if it is this node's turn to deliver.
func (s *Sender) look(ctx context.Context) {
	if err := s.lookOnce(ctx); err != nil && ctx.Err() == nil {
		s.Log.Warn("events cannot be delivered to webhooks now; trying again", "error", err)
	}
}

func (s *Sender) lookOnce(ctx context.Context) error {
	all, err := s.Queue.Webhooks(ctx)
	if err != nil {
		return err
	}
	enabled := 0
	for i := range all {
		if all[i].IsEnabled() {
			enabled++
		}
	}
	var until time.Time
	if enabled > 0 {
		if until, err = s.Queue.HoldWebhooks(ctx); err != nil {
			return err
		}
	}
	if err := s.count(ctx, enabled, len(all)-enabled, !until.IsZero()); err != nil || until.IsZero() {
		return err
	}
	for i := range all {
		if all[i].IsEnabled() {
			s.begin(ctx, all[i].ID)
		}
	}
	return nil
}

// count updates the counts.
func (s *Sender) count(ctx context.Context, enabled, off int, delivers bool) error {
	s.mu.Lock()
	s.stats.Enabled, s.stats.Off = enabled, off
	old := s.Now().Sub(s.looked).Abs() >= statsInterval
	s.mu.Unlock()
	if !old {
		return nil
	}
	var age time.Duration
	if delivers {
		oldest, err := s.Queue.OldestWaiting(ctx)
		if err != nil {
			return err
		}
		if !oldest.IsZero() {
			age = max(0, s.Now().Sub(oldest))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Oldest, s.looked = age, s.Now()
	return nil
}

// begin serves a webhook in the background, unless it is being served.
func (s *Sender) begin(ctx context.Context, id apikey.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[id] {
		return
	}
	s.busy[id] = true
	s.serving.Go(func() {
		err := s.serve(ctx, id)
		if err != nil && ctx.Err() == nil && !store.IsRefusal(err) { // deleted or disabled meanwhile
			s.Log.Warn("events cannot be delivered to a webhook now; trying again", "webhook", id, "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.busy, id)
	})
}

// serve makes a webhook's due deliveries, until none is left.
func (s *Sender) serve(ctx context.Context, id apikey.ID) error {
	for {
		until, err := s.Queue.HoldWebhooks(ctx)
		if err != nil || until.IsZero() {
			return err
		}
		w, due, err := s.Queue.TakeDeliveries(ctx, id, inFlight)
		if err != nil || len(due) == 0 {
			return err
		}
		attempts := make([]store.Attempt, len(due))
		var all sync.WaitGroup
		for i := range due {
			all.Go(func() { attempts[i] = s.attempt(ctx, until, &w, &due[i]) })
		}
		all.Wait()
		made := attempts[:0]
		for _, a := range attempts {
			if !a.Event.IsZero() {
				made = append(made, a)
			}
		}
		// Finished attempts are recorded even if the service stops now.
		recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
		err = s.Queue.RecordAttempts(recording, id, made)
		cancel()
		if err != nil {
			return err
		}
		s.report(&w, made)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// report counts attempts, and logs when a webhook was disabled.
func (s *Sender) report(w *store.Webhook, attempts []store.Attempt) {
	for _, a := range attempts {
		if a.OK {
			s.delivered.Add(1)
			continue
		}
		s.failed.Add(1)
		if a.Disable == "" {
			continue
		}
		s.disabled.Add(1)
		s.Log.Error("a webhook was disabled: it answered 410, or took no delivery for 72 hours; enable it again when its receiver works",
			"webhook", w.ID, "host", w.Host(), "reason", a.Disable, "event", a.Event, "error", a.Error)
		return
	}
}
