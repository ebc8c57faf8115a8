package webhook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
)

// A receiver that is down for a day gets everything, soon after it is back.
func TestDownForADay(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, fails(http.StatusServiceUnavailable))
	w := k.hook(r)
	const events = 96
	for range events {
		k.create(1)
		k.pass()
		k.clock.Advance(24 * time.Hour / events)
	}
	if waiting := len(k.deliveries(w.ID, store.StateWaiting)); waiting != events {
		t.Fatalf("%d deliveries wait", waiting)
	}
	k.restart()
	r.answers(nil)
	for range 15 {
		k.clock.Advance(5 * time.Minute)
		k.pass()
	}
	if _, taken := r.count(); taken != events {
		t.Errorf("%d of %d events arrived", taken, events)
	}
	if w := k.webhook(w.ID); !w.IsEnabled() || !w.FailingSince.IsZero() {
		t.Errorf("afterwards the webhook is %+v", w)
	}
}

// After 72 hours a webhook is disabled, and not before; then nothing is attempted. Enabled again, it gets everything.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, fails(http.StatusInternalServerError))
	w := k.hook(r)
	k.create(1)
	began := k.clock.Now()
	var pauses []time.Duration
	for {
		before, _ := r.count()
		k.pass()
		if after, _ := r.count(); after > before {
			pauses = append(pauses, k.clock.Now().Sub(began))
		}
		if off := k.webhook(w.ID); !off.IsEnabled() {
			break
		}
		if k.clock.Now().Sub(began) > 80*time.Hour {
			t.Fatal("it was not disabled")
		}
		waiting := k.deliveries(w.ID, store.StateWaiting)
		k.clock.Advance(max(time.Millisecond, waiting[0].Next.Sub(k.clock.Now())))
	}
	if took := k.clock.Now().Sub(began); took < GiveUpAfter || took > GiveUpAfter+75*time.Minute {
		t.Errorf("it was disabled after %s", took)
	}
	if len(pauses) < 60 || len(pauses) > 110 {
		t.Errorf("there were %d attempts: %v", len(pauses), pauses)
	}
	off := k.webhook(w.ID)
	if off.DisabledReason != store.DisabledFailing || !strings.Contains(k.log.String(), "a webhook was disabled") {
		t.Errorf("it is %+v, and the log says %s", off, k.log)
	}
	k.create(3)
	before, _ := r.count()
	k.clock.Advance(48 * time.Hour)
	k.pass()
	if after, _ := r.count(); after != before {
		t.Error("a disabled webhook was called")
	}
	if stats := k.sender.Stats(); stats.Disabled != 1 || stats.Off != 1 || stats.Enabled != 0 || int(stats.Failed) != before {
		t.Errorf("the figures are %+v", stats)
	}
	r.answers(nil)
	_, err := k.db.UpdateWebhook(t.Context(), databasetest.Operator, w.ID, store.WebhookChange{Enabled: new(true)})
	must(t, err)
	k.pass()
	if _, taken := r.count(); taken != 1+3+2 { // and that it was disabled and enabled
		t.Errorf("%d events arrived", taken)
	}
}

// A receiver that asks for time gets it, within bounds; one that fails in another way cannot ask.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status   int
		header   string
		from, to time.Duration // when the next attempt is due
	}{
		"seconds":        {http.StatusTooManyRequests, "600", 10 * time.Minute, 10 * time.Minute},
		"unavailable":    {http.StatusServiceUnavailable, "60", time.Minute, time.Minute},
		"a date":         {http.StatusTooManyRequests, "Mon, 23 Nov 2026 12:02:00 GMT", 2 * time.Minute, 2 * time.Minute},
		"too long":       {http.StatusTooManyRequests, "4294967295", time.Hour, time.Hour},
		"too short":      {http.StatusTooManyRequests, "0", 5 * time.Second, 5 * time.Second},
		"in the past":    {http.StatusServiceUnavailable, "Mon, 23 Nov 2020 12:00:00 GMT", 5 * time.Second, 5 * time.Second},
		"nonsense":       {http.StatusTooManyRequests, "-1 week", 5 * time.Second, 6250 * time.Millisecond},
		"none":           {http.StatusTooManyRequests, "", 3750 * time.Millisecond, 6250 * time.Millisecond},
		"another status": {http.StatusInternalServerError, "600", 3750 * time.Millisecond, 6250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			w := k.hook(newReceiver(t, func(answer http.ResponseWriter, _ *http.Request) {
				if tt.header != "" {
					answer.Header().Set("Retry-After", tt.header)
				}
				answer.WriteHeader(tt.status)
			}))
			k.create(1)
			k.pass()
			waiting := k.deliveries(w.ID, store.StateWaiting)
			if len(waiting) != 1 {
				t.Fatalf("%d deliveries wait", len(waiting))
			}
			if pause := waiting[0].Next.Sub(k.clock.Now()); pause < tt.from || pause > tt.to {
				t.Errorf("the next attempt is in %s, want %s to %s", pause, tt.from, tt.to)
			}
		})
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, fails(http.StatusGone))
	w := k.hook(r)
	k.create(1)
	k.pass()
	k.pass()
	if n, _ := r.count(); n != 1 {
		t.Errorf("it was called %d times", n)
	}
	if got := k.webhook(w.ID); got.DisabledReason != store.DisabledGone {
		t.Errorf("after 410 it is %+v", got)
	}
}

// One event that a receiver does not want does not stop the others, and is not repeated with each of them.
func TestOneRefusedEvent(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, nil)
	k.hook(r)
	var refused string
	var times int
	r.answers(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		id := request.Header.Get(HeaderID)
		if refused == "" {
			refused = id
		}
		if id == refused {
			times++
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.taken = append(r.taken, id)
	})
	k.create(1)
	k.pass()
	for range 60 {
		k.create(2)
		k.pass()
		k.clock.Advance(time.Second)
	}
	if _, taken := r.count(); taken != 120 || times < 2 || times > 4 {
		t.Errorf("%d events arrived, and one was refused %d times", taken, times)
	}
}

// What a receiver has taken is recorded when the service stops; what it has not, it gets later.
func TestStops(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, nil)
	k.hook(r)
	arrived, hang := make(chan struct{}, 1), make(chan struct{})
	r.answers(func(_ http.ResponseWriter, request *http.Request) {
		select {
		case arrived <- struct{}{}:
		default:
		}
		select {
		case <-hang:
		case <-request.Context().Done():
		}
	})
	k.create(1)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { k.sender.Run(ctx); close(stopped) }()
	<-arrived
	stop()
	select {
	case <-stopped:
	case <-time.After(attemptTimeout / 2):
		t.Fatal("a receiver that hangs keeps the service from stopping")
	}
	close(hang)
	r.answers(nil)
	k.restart()
	k.pass()
	if _, taken := r.count(); taken != 1 {
		t.Errorf("%d events arrived after the restart", taken)
	}
}

// What is told of a failure has no address of the URL in it.
func TestReasons(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	closed := newReceiver(t, nil)
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	hangUp := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	hooks := map[string]store.Webhook{"there was no connection": k.hook(closed), "the receiver closed the connection": k.hook(hangUp)}
	closed.Close()
	add := func(reason, url string) {
		w := store.Webhook{ID: apikey.NewID(), URL: url, CreatedAt: k.clock.Now(), Secret: store.NewWebhookSecret()}
		must(t, k.db.CreateWebhook(t.Context(), databasetest.Operator, w))
		hooks[reason] = w
	}
	add("the host has no address", "https://nowhere.invalid/x")
	add("10.0.0.1 is not a public address: name it with --webhook-allow if it is meant", "https://10.0.0.1/x")
	add("1.1.1.1 is not dialled without TLS: use https, or name it with --webhook-allow", "http://1.1.1.1/x")
	add("there was no TLS connection", strings.Replace(plain.URL, "http:", "https:", 1))
	k.sender.Guard.Resolver = nil
	k.create(1)
	k.pass()
	for want, w := range hooks {
		got := k.deliveries(w.ID, store.StateWaiting)
		if len(got) == 0 || got[0].Error != want {
			t.Errorf("the reason is %+v, want %q", got, want)
		}
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	seen := make(map[time.Duration]bool)
	for attempts := range 100 {
		p, base := pause(attempts), backoff[min(attempts, len(backoff)-1)]
		seen[p] = true
		if p < base*3/4 || p > base*5/4 {
			t.Errorf("after %d failures the pause is %s", attempts, p)
		}
	}
	if len(seen) < 90 {
		t.Error("the pauses do not differ")
	}
}
