package webhook

import (
	"bytes"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

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
