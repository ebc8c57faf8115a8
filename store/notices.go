package store

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"apikeyd/apikey"
)

// Notices writes events about what happens by time or by use, each once, on however many nodes and through restarts.
type Notices interface {
	// WriteNotices looks at some keys after a place, the zero one first, and writes the notices of one kind that are
	// due and were not written yet. It returns how many it wrote, and where to continue; the zero place if all keys
	// were looked at. Of several thresholds that have passed it takes the least: what would have been due in the
	// meantime is not made up for.
	WriteNotices(ctx context.Context, kind NoticeKind, rules NoticeRules, after NoticePlace) (written int, next NoticePlace, err error)

	// RecordQuotaReached writes an ActionQuota event: the quota of a key or an owner is used up until a time. It
	// writes nothing if that was written of the same period, or if there is no quota any more.
	RecordQuotaReached(ctx context.Context, subject Subject, until time.Time) error
}

// NoticeKind is what a notice that is due by time is about. Its numbers are stored.
type NoticeKind int

// The kinds.
const (
	NoticeEnd    NoticeKind = iota // ActionExpiring and ActionExpired: the end of a key
	NoticeGrace                    // ActionGraceEnding: that of an old secret's grace
	NoticeSecret                   // ActionRotationDue: the time when a secret was made
	NoticeQuota                    // ActionQuota: the end of a quota's period; WriteNotices does not take it
)

// NoticeRules say which notices are due.
type NoticeRules struct {
	Thresholds []time.Duration // before the end of a key; without any, nothing is said of ends and graces
	AdminAge   time.Duration   // of the secret of a key with keys:admin; 0 never
}

const (
	// ExpiredWithin is how long after its end a key gets an ActionExpired event that was missed.
	ExpiredWithin = 7 * 24 * time.Hour
	// graceThreshold is how long before the end of a grace its notice is due, or half of the grace if that is less.
	graceThreshold = 24 * time.Hour
	// marginOfLife is the part of a threshold that a key must live longer than it: else the notice would follow the
	// creation at once, since a caller's clock differs.
	marginOfLife = 100
)

// Furthest returns how far ahead a moment may be of which notices of a kind are due.
func (r NoticeRules) Furthest(kind NoticeKind) time.Duration {
	switch {
	case len(r.Thresholds) == 0 || kind == NoticeSecret:
		return 0
	case kind == NoticeGrace:
		return graceThreshold
	}
	return slices.Max(r.Thresholds)
}

// Due reports whether a notice is due about a moment, and the threshold that the time until then has fallen to; 0 if
// that moment has come. Since is when what ends began.
func (r NoticeRules) Due(kind NoticeKind, about, since, now time.Time) (threshold time.Duration, due bool) {
	left := about.Sub(now)
	if kind == NoticeSecret {
		return 0, r.AdminAge > 0 && -left >= r.AdminAge
	}
	if len(r.Thresholds) == 0 {
		return 0, false
	}
	if kind == NoticeGrace {
		threshold = min(graceThreshold, about.Sub(since)/2)
		return threshold, left > 0 && left <= threshold
	}
	if left <= 0 {
		return 0, -left < ExpiredWithin
	}
	for _, t := range r.Thresholds {
		if left <= t && (!due || t < threshold) {
			threshold, due = t, true
		}
	}
	return threshold, due && about.Sub(since) > threshold+threshold/marginOfLife
}

// NoticePlace is a place in the order in which WriteNotices looks at keys.
type NoticePlace struct {
	About time.Time
	ID    apikey.ID
}

// Notice holds the facts of an event that changes nothing. Zero fields are absent.
type Notice struct {
	EndsAt      apikey.Timestamp `json:"ends_at,omitzero"`           // of the key, or its old secret
	Limit       int              `json:"limit,omitzero"`             // of the quota
	Network     string           `json:"network,omitzero"`           // whence the key was used
	ResetsAt    apikey.Timestamp `json:"resets_at,omitzero"`         // when the quota's period ends
	SecretSince apikey.Timestamp `json:"secret_since,omitzero"`      // when the secret was made
	Threshold   int              `json:"threshold_seconds,omitzero"` // to which the time until EndsAt has fallen
}

// Differences are how an event holds a notice.
func (n Notice) Differences() apikey.Differences {
	return apikey.Differences{{Field: apikey.NoticeField, To: jsonOf(n)}}
}

// noticeTexts are what the log says of notices.
var noticeTexts = map[string]string{
	ActionExpiring:    "a key ends soon",
	ActionExpired:     "a key has ended",
	ActionGraceEnding: "a key's old secret ends soon; whoever still uses it needs the new one",
	ActionRotationDue: "the secret of a key with keys:admin is old; rotate it",
	ActionQuota:       "a quota is used up",
	ActionNewNetwork:  "a key with keys:admin was used from a new network; rotate it if nobody knows why",
}

// LogNotice logs an event that is a notice.
func LogNotice(ctx context.Context, log *slog.Logger, e *Event) {
	attributes := []slog.Attr{slog.String("action", e.Action)}
	if !e.Key.IsZero() {
		attributes = append(attributes, slog.String("key", e.Key.String()), slog.String("name", e.Name))
	}
	attributes = append(attributes, slog.String("owner", e.Owner))
	if notice, is := e.Changes.Get(apikey.NoticeField); is {
		attributes = append(attributes, slog.String("notice", string(notice.To)))
	}
	log.LogAttrs(ctx, slog.LevelWarn, noticeTexts[e.Action], attributes...) //nolint:sloglint // one of a few constants
}
