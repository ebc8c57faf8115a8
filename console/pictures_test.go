//go:build full

package console_test

import (
	"flag"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"apikeyd/apikey"
	"apikeyd/client"
)

// go test ./console -run TestPictures -args -pictures ../docs/images takes those of README.
var pictures = flag.String("pictures", "", "write the pictures of README into this folder")

// TestPictures takes the pictures of README: the table of keys in light and dark mode.
func TestPictures(t *testing.T) {
	t.Parallel()
	folder := *pictures
	if folder == "" {
		folder = t.TempDir()
	}
	k := newKitOfYears(t)
	b := k.browse()
	b.signIn(k.admin)
	b.open("/console/keys")
	for _, scheme := range []string{"light", "dark"} {
		b.see(look{scheme, 1280, 737})
		quality := int64(80)
		picture, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Format: page.CaptureScreenshotFormatWebp, Quality: &quality,
		})
		k.must(err)
		if len(picture.Data) > 60_000 {
			t.Errorf("the %s picture has %d bytes", scheme, len(picture.Data))
		}
		k.must(os.WriteFile(filepath.Join(folder, "console-"+scheme+".webp"), picture.Data, 0o644))
	}
}

// newKitOfYears returns a kit with keys that were created and used over several months.
func newKitOfYears(t *testing.T) *kit {
	t.Helper()
	var ago atomic.Int64
	k := newKit(t, options{now: func() time.Time { return time.Now().Add(-time.Duration(ago.Load())) }})
	const day = 24 * time.Hour
	admin := k.as(k.admin)
	for _, made := range []struct {
		owner, name          string
		scopes               []string
		made, lifetime, used time.Duration // ago, from then, and ago
		rotated, revoked     bool
	}{
		{"globex", "import-2025", []string{"datasets:write"}, 200 * day, 90 * day, 130 * day, false, false},
		{"acme", "old laptop", []string{"datasets:read"}, 120 * day, 365 * day, 95 * day, false, true},
		{"acme", "ci-pipeline", []string{"datasets:read", "datasets:write"}, 100 * day, 365 * day, 3 * time.Minute, false, false},
		{"customer-42", "production", []string{"datasets:read", "reports:read"}, 70 * day, 365 * day, 20 * time.Second, false, false},
		{"customer-42", "staging", []string{"datasets:read"}, 70 * day, 90 * day, 26 * time.Hour, false, false},
		{"globex", "nightly report", []string{"reports:read"}, 33 * day, 90 * day, 9 * time.Hour, true, false},
		{"platform", "api-gateway", []string{apikey.ScopeVerify}, 30 * day, 365 * day, 2 * time.Second, false, false},
		{"initech", "billing-sync", []string{"invoices:read", "invoices:send"}, 12 * day, 90 * day, 40 * time.Minute, false, false},
		{"initech", "mobile app", []string{"datasets:read"}, 2 * day, 30 * day, 0, false, false},
	} {
		ago.Store(int64(made.made))
		created, err := admin.ForOwner(made.owner).Create(t.Context(), client.NewKey{
			Name: made.name, ExpiresAt: time.Now().Add(made.lifetime - made.made), Scopes: &made.scopes,
		})
		k.must(err)
		if made.used > 0 {
			ago.Store(int64(made.used))
			k.use(key{Secret: created.Secret.Reveal()})
		}
		ago.Store(0)
		if made.rotated {
			_, err = admin.Rotate(t.Context(), created.ID, day)
			k.must(err)
		}
		if made.revoked {
			_, err = admin.Revoke(t.Context(), created.ID)
			k.must(err)
		}
	}
	return k
}
