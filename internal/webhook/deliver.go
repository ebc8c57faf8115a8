package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	// interval is how often the sender looks for events and deliveries that are due.
	interval = time.Second
	// inFlight is how many deliveries to one receiver are under way at a time.
	inFlight = 8
	// GiveUpAfter is how long a delivery is attempted. Then its webhook is disabled.
	GiveUpAfter = 72 * time.Hour
	// statsInterval is how often the age of the oldest event is looked up.
	statsInterval = 10 * time.Second
)

// backoff are the pauses between attempts; the last one repeats. Each is up to a quarter longer or shorter.
var backoff = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

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
	looked  time.Time // when the oldest event was looked up

	delivered, failed, disabled atomic.Uint64
}

// Stats are counts since the start, and the state now.
type Stats struct {
	Delivered, Failed, Disabled uint64        // attempts that succeeded and that did not, and webhooks that were disabled for them
	Enabled, Off                int           // webhooks that are enabled and that are not
	Oldest                      time.Duration // how long the oldest event waits; 0 on nodes that do not deliver
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
		s.Log.Warn("another node will deliver to webhooks only in a while", "error", err)
	}
	s.tls.CloseIdleConnections()
	s.plain.CloseIdleConnections()
}

// look begins to serve each webhook that is not being served, if this node is the one to do it.
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

// count keeps the figures.
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

// serve delivers to one webhook what is due, until nothing is.
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
		// What receivers have taken is recorded even if the service stops now.
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

// attempt delivers one event. It returns the zero Attempt if that was not finished before the service stops, or if this
// node's turn is over: then the delivery stays as it is.
func (s *Sender) attempt(ctx context.Context, until time.Time, w *store.Webhook, d *store.DueDelivery) store.Attempt {
	a := store.Attempt{Event: d.Event}
	if d.Of.ID.IsZero() {
		a.Error = "the event was removed by retention"
		return a
	}
	if !time.Now().Before(until) {
		return store.Attempt{}
	}
	status, wanted, err := s.post(ctx, w, d)
	if err != nil && ctx.Err() != nil {
		return store.Attempt{}
	}
	now := s.Now()
	a.Status = status
	switch {
	case err != nil:
		a.Error = reason(err)
	case status >= 200 && status < 300:
		a.OK = true
		return a
	default:
		a.Error = "status " + strconv.Itoa(status)
	}
	a.Next = now.Add(pause(d.Attempts))
	if (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && wanted != "" {
		a.Next = now.Add(pauseWanted(wanted, a.Next.Sub(now), now))
	}
	switch {
	case status == http.StatusGone:
		a.Disable = store.DisabledGone
	case now.Sub(d.Since) >= GiveUpAfter:
		a.Disable = store.DisabledFailing
	}
	return a
}

// pause returns how long to wait after so many failed attempts before this one.
func pause(attempts int) time.Duration {
	base := backoff[min(attempts, len(backoff)-1)]
	return base*3/4 + rand.N(base/2) //nolint:gosec // not a secret
}

// pauseWanted returns the pause that a Retry-After asks for, between the shortest and the longest pause of ours, or the
// usual one if it cannot be read.
func pauseWanted(retryAfter string, usual time.Duration, now time.Time) time.Duration {
	wanted := usual
	if seconds, err := strconv.ParseUint(retryAfter, 10, 32); err == nil {
		wanted = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		wanted = at.Sub(now)
	}
	return min(max(wanted, backoff[0]), backoff[len(backoff)-1])
}

// post sends one delivery, and returns the status of the answer, and its Retry-After.
func (s *Sender) post(ctx context.Context, w *store.Webhook, d *store.DueDelivery) (status int, retryAfter string, err error) {
	body, err := payload(d.Of)
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.Agent)
	for name, value := range headers(w, d.Event.String(), body, s.Now()) {
		request.Header.Set(name, value)
	}
	client := s.tls
	if request.URL.Scheme == "http" {
		client = s.plain
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)) // the status says it all
	return answer.StatusCode, answer.Header.Get("Retry-After"), nil
}

// reason says why there was no answer, in words of ours: the error's own may contain the URL.
func reason(err error) string {
	var (
		refused     *refusedError
		lookup      *net.DNSError
		certificate *tls.CertificateVerificationError
		timeout     net.Error
	)
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "the host has no address"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within " + attemptTimeout.String()
	case errors.As(err, &lookup):
		return "the host could not be looked up"
	case errors.As(err, &certificate):
		return "the certificate is not trusted"
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "HTTPS client"):
		return "there was no TLS connection"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the receiver closed the connection"
	}
	return "there was no connection"
}

// report counts attempts, and logs what an operator must know.
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
