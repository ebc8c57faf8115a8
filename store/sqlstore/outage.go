package sqlstore

import (
	"log/slog"
	"time"
)

// outage is a time in which the writer's looks at the file fail. It is said once, when
// what is remembered of the file counts no more, and once when it is over. Only the writer
// uses it.
type outage struct {
	log   *slog.Logger
	since time.Time // zero while all is well
	told  bool
}

// note hears how one look went.
func (o *outage) note(err error, now time.Time) {
	switch {
	case err == nil && o.since.IsZero():
	case err == nil:
		if o.told {
			o.log.Info("the database can be read again", "after", now.Sub(o.since).Round(time.Millisecond))
		}
		o.since, o.told = time.Time{}, false
	case o.since.IsZero():
		o.since = now
	case !o.told && now.Sub(o.since) >= staleBound:
		o.told = true
		o.log.Error("the database cannot be read; no remembered key counts until it can", "error", err)
	}
}
