package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
)

// receiver is an endpoint over TLS that keeps what it takes.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(http.ResponseWriter, *http.Request) // nil takes everything
	requests int
	taken    []string          // ids, in order
	bodies   map[string][]byte // by id; a repeated one must be the same
	faults   []string
}

func newReceiver(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *receiver {
	t.Helper()
	r := &receiver{answer: answer, bodies: make(map[string][]byte)}
	r.Server = httptest.NewTLSServer(r)
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	id := request.Header.Get(HeaderID)
	r.mu.Lock()
	r.requests++
	if before, again := r.bodies[id]; again && !bytes.Equal(before, body) {
		r.faults = append(r.faults, "the body of "+id+" changed")
	}
	r.bodies[id] = body
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, request)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = append(r.taken, id)
}

func (r *receiver) answers(answer func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) count() (requests, taken int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests, len(r.taken)
}

// kit is a store with a sender whose clock is simulated.
type kit struct {
	*testing.T
	db     *sqlstore.DB
	clock  *storetest.Clock
	sender *Sender
	roots  *x509.CertPool
	log    *bytes.Buffer
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{T: t, clock: storetest.NewClock(), roots: x509.NewCertPool(), log: &bytes.Buffer{}}
	k.db = databasetest.OpenWith(t, sqlstore.Options{Path: databasetest.NewPath(t), Serve: true, Now: k.clock.Now})
	k.restart()
	return k
}

// restart replaces the sender, as after a restart of the service.
func (k *kit) restart() {
	k.sender = New(Options{
		Queue: k.db, Guard: &Guard{Allow: prefixes("127.0.0.0/8"), Roots: k.roots}, Log: slog.New(slog.NewTextHandler(k.log, nil)),
		Now: k.clock.Now, Agent: "apikeyd/test",
	})
}

func (k *kit) hook(r *receiver) store.Webhook {
	k.Helper()
	k.roots.AddCert(r.Certificate())
	w := store.Webhook{ID: apikey.NewID(), URL: r.URL + "/in", CreatedAt: k.clock.Now(), Secret: store.NewWebhookSecret()}
	must(k.T, k.db.CreateWebhook(k.Context(), databasetest.Operator, w))
	return w
}

func (k *kit) create(n int) {
	k.Helper()
	for range n {
		databasetest.Create(k.T, k.db, apikey.NewID().String()+" made")
	}
}

// pass lets the sender look once, and waits until it has done what is due.
func (k *kit) pass() {
	k.Helper()
	must(k.T, k.sender.lookOnce(k.Context()))
	k.sender.serving.Wait()
}

func (k *kit) webhook(id apikey.ID) store.Webhook {
	k.Helper()
	w, err := k.db.Webhook(k.Context(), id)
	must(k.T, err)
	return w
}

func (k *kit) deliveries(id apikey.ID, state string) []store.Delivery {
	k.Helper()
	all, err := k.db.Deliveries(k.Context(), store.DeliveryQuery{Webhook: id, State: state, Limit: 10000})
	must(k.T, err)
	return all
}

func fails(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// A receiver gets each event once, signed, and can prove that none is missing.
func TestDelivers(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, nil)
	var headersSeen http.Header
	w := k.hook(r)
	r.answers(func(_ http.ResponseWriter, request *http.Request) { headersSeen = request.Header.Clone() })
	k.create(1)
	k.pass()
	r.answers(nil)
	for name, want := range map[string]string{"Content-Type": "application/json", "User-Agent": "apikeyd/test"} {
		if got := headersSeen.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	id := headersSeen.Get(HeaderID)
	if got := sign(w.Secret, id, headersSeen.Get(HeaderTimestamp), r.bodies[id]); got != headersSeen.Get(HeaderSignature) {
		t.Errorf("the signature is %s, want %s", headersSeen.Get(HeaderSignature), got)
	}
	k.create(300)
	k.pass()
	if _, taken := r.count(); taken != 300 {
		t.Errorf("%d events arrived", taken)
	}
	sequences := make(map[int64]bool)
	for id, body := range r.bodies {
		var got struct {
			Type string
			Data struct {
				ID       string
				Sequence int64
			}
		}
		must(t, json.Unmarshal(body, &got))
		sequences[got.Data.Sequence] = true
		if got.Type != "api_key.created" || got.Data.ID != id {
			t.Errorf("event %s is %s", id, body)
		}
	}
	for seq := int64(2); seq <= 302; seq++ {
		if !sequences[seq] {
			t.Errorf("event %d is missing", seq)
		}
	}
	if stats := k.sender.Stats(); stats.Delivered != 301 || stats.Failed != 0 || stats.Enabled != 1 {
		t.Errorf("the figures are %+v", stats)
	}
}

// within waits until something is so.
func within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > limit {
			t.Fatalf("after %s it is not so that %s", limit, what)
		}
	}
}

// A receiver that hangs delays no other, and neither do those that answer too much, redirect, or have a wrong certificate.
func TestOneDelaysNoOther(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	hang := make(chan struct{})
	slow := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) }) // before the receiver is closed
	inner := newReceiver(t, nil)
	redirecting := newReceiver(t, func(w http.ResponseWriter, request *http.Request) {
		http.Redirect(w, request, inner.URL, http.StatusTemporaryRedirect)
	})
	babbling := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		for err := error(nil); err == nil; { // without end
			_, err = w.Write(make([]byte, 1<<20))
		}
	})
	untrusted, fast := newReceiver(t, nil), newReceiver(t, nil)
	hooks := map[string]store.Webhook{}
	for name, r := range map[string]*receiver{"slow": slow, "redirecting": redirecting, "babbling": babbling, "fast": fast} {
		hooks[name] = k.hook(r)
	}
	stranger := newKit(t) // its authorities know nobody
	bad := stranger.hook(fast)
	stranger.roots = x509.NewCertPool()
	stranger.restart()
	stranger.create(1)
	stranger.pass()
	if got := stranger.deliveries(bad.ID, ""); len(got) != 1 || got[0].Error != "the certificate is not trusted" {
		t.Errorf("to a receiver that is not trusted: %+v", got)
	}
	k.create(20)
	ctx, stop := context.WithCancel(t.Context())
	defer k.sender.serving.Wait()
	defer stop()
	must(t, k.sender.lookOnce(ctx))
	within(t, attemptTimeout/2, "a fast receiver does not wait for a slow one", func() bool {
		_, taken := fast.count()
		return taken >= 20
	})
	within(t, attemptTimeout, "answers without end are taken", func() bool {
		return len(k.deliveries(hooks["babbling"].ID, store.StateDelivered)) >= 20
	})
	within(t, attemptTimeout, "redirects are failures", func() bool {
		all := k.deliveries(hooks["redirecting"].ID, store.StateWaiting)
		return len(all) >= 20 && !slices.ContainsFunc(all, func(d store.Delivery) bool { return d.Status != http.StatusTemporaryRedirect })
	})
	if n, _ := inner.count(); n > 0 {
		t.Error("a redirect was followed")
	}
	if n, _ := untrusted.count(); n > 0 {
		t.Error("somebody got what was not meant for it")
	}
}

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
