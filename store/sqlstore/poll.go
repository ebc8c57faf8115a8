package sqlstore

import (
	"log/slog"
	"time"
)

const (
	// pollInterval is how often the writer looks whether another process changed the file.
	pollInterval = 100 * time.Millisecond
	// staleBound is how long a cache of the file may be trusted after such a look: the longest time for which a
	// server may not know of a change by the command line.
	staleBound = 500 * time.Millisecond
)

// noted looks for changes by other processes, and records how that went.
func (w *writer) noted(look func(*writer) error) error {
	began := w.now()
	err := look(w)
	if err != nil {
		w.tally.add(&w.tally.failedPolls)
	}
	w.outage.note(err, began)
	return err
}

// outage is a time during which the writer's looks at the file fail. It is logged once when
// caches are no longer trusted, and once when it is over. Only the writer uses it.
type outage struct {
	log    *slog.Logger
	since  time.Time // zero while all is well
	logged bool
}

// note records the result of one look.
func (o *outage) note(err error, now time.Time) {
	switch {
	case err == nil && o.since.IsZero():
	case err == nil:
		if o.logged {
			o.log.Info("the database can be read again", "after", now.Sub(o.since).Round(time.Millisecond))
		}
		o.since, o.logged = time.Time{}, false
	case o.since.IsZero():
		o.since = now
	case !o.logged && now.Sub(o.since) >= staleBound:
		o.logged = true
		o.log.Error("the database cannot be read; cached keys do not count until it can", "error", err)
	}
}
