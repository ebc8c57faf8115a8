package webhook

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"apikeyd/store"
)

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
