package webhook_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/internal/webhook"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// BenchmarkCreateWithWebhook creates 1,000 keys with 64 callers: without webhooks, with one that is served elsewhere, and
// with one whose deliveries this process makes and takes meanwhile.
func BenchmarkCreateWithWebhook(b *testing.B) {
	for _, how := range []string{"without", "with", "delivering"} {
		b.Run(how, func(b *testing.B) {
			db := databasetest.OpenWith(b, sqlstore.Options{Path: databasetest.NewPath(b), Serve: true})
			receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			b.Cleanup(receiver.Close)
			ctx, stop := context.WithCancel(b.Context())
			var sending sync.WaitGroup
			defer sending.Wait()
			defer stop()
			if how != "without" {
				w := store.Webhook{ID: apikey.NewID(), URL: receiver.URL, CreatedAt: time.Now(), Secret: store.NewWebhookSecret()}
				if err := db.CreateWebhook(b.Context(), databasetest.Operator, w); err != nil {
					b.Fatal(err)
				}
				sender := webhook.New(webhook.Options{
					Queue: db, Guard: &webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
				})
				if how == "delivering" {
					sending.Go(func() { sender.Run(ctx) })
				}
			}
			for b.Loop() {
				keys := make(chan apikey.Key)
				var callers sync.WaitGroup
				for range 64 {
					callers.Go(func() {
						for key := range keys {
							if err := db.CreateKey(b.Context(), databasetest.Operator, key); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for range 1000 {
					key, _ := databasetest.Draft(b, apikey.NewID().String()+" made")
					keys <- key
				}
				close(keys)
				callers.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/creation")
		})
	}
}
