package service

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"apikeyd/store"
)

// noticeFlags say which notices are written.
type noticeFlags struct {
	ExpiryNotices []time.Duration `default:"30d,7d,1d" env:"APIKEYD_EXPIRY_NOTICES" placeholder:"DURATION" help:"How long before a key ends to say so: in the audit log, to webhooks, and in the log (${default}); 0 never does, nor when it has ended."`
	AdminKeyAge   time.Duration   `default:"0" env:"APIKEYD_ADMIN_KEY_AGE" placeholder:"DURATION" help:"How old the secret of a key with keys:admin may be, such as 90d, before the same says that it should be rotated; 0 is forever (0)."`
}

const (
	// leastNotice keeps notices from being due before anyone could have looked.
	leastNotice = time.Second
	// mostNotices is how many thresholds there may be.
	mostNotices = 10
)

// Validate checks the durations.
func (f noticeFlags) Validate() error {
	switch {
	case f.AdminKeyAge < 0:
		return errors.New("--admin-key-age must not be negative")
	case len(f.ExpiryNotices) == 1 && f.ExpiryNotices[0] == 0:
		return nil
	case len(f.ExpiryNotices) > mostNotices:
		return errors.New("--expiry-notices must be at most ten durations")
	case len(f.ExpiryNotices) > 0 && slices.Min(f.ExpiryNotices) < leastNotice:
		return errors.New("--expiry-notices must be durations of a second or more, or 0 alone for none")
	}
	return nil
}

func (f noticeFlags) rules() store.NoticeRules {
	rules := store.NoticeRules{Thresholds: f.ExpiryNotices, AdminAge: f.AdminKeyAge}
	if len(rules.Thresholds) > 0 && rules.Thresholds[0] == 0 {
		rules.Thresholds = nil
	}
	return rules
}

const (
	// noticeInterval is how often keys are looked at whose notices may be due.
	noticeInterval = 5 * time.Second
	// noticeCalls is how many calls of WriteNotices of each kind one look makes: with more keys that end before the
	// longest threshold, a round takes several looks.
	noticeCalls = 5
)

// notices writes the notices that are due while the server runs, on the node that delivers to webhooks.
type notices struct {
	store interface {
		HoldWebhooks(ctx context.Context) (until time.Time, err error)
		WriteNotices(
			ctx context.Context, kind store.NoticeKind, rules store.NoticeRules, after store.NoticePlace,
		) (written int, next store.NoticePlace, err error)
	}
	rules  store.NoticeRules
	out    *slog.Logger
	places [store.NoticeSecret + 1]store.NoticePlace // where each kind continues
}

// run looks at each interval until ctx ends.
func (n *notices) run(ctx context.Context) {
	if len(n.rules.Thresholds) == 0 && n.rules.AdminAge == 0 {
		return
	}
	tick := time.NewTicker(noticeInterval)
	defer tick.Stop()
	for {
		if err := n.look(ctx); err != nil && ctx.Err() == nil {
			n.out.Warn("due notices cannot be written now; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *notices) look(ctx context.Context) error {
	until, err := n.store.HoldWebhooks(ctx)
	if err != nil || until.IsZero() {
		return err
	}
	for kind := range n.places {
		for range noticeCalls {
			_, next, err := n.store.WriteNotices(ctx, store.NoticeKind(kind), n.rules, n.places[kind])
			if err != nil {
				return err
			}
			if n.places[kind] = next; next == (store.NoticePlace{}) {
				break
			}
		}
	}
	return nil
}
