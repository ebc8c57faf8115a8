package sqlstore

import (
	"context"
	"time"
)

const (
	// pollInterval is how often the writer looks whether another process changed the file.
	pollInterval = 100 * time.Millisecond
	// staleBound is how long after such a look what is remembered of the file counts. It
	// is the longest time for which a server may not know of a change by the command line.
	staleBound = 500 * time.Millisecond
)

// poll looks whether another process changed the file since the last poll.
func (w *writer) poll() error {
	began := w.now()
	err := w.look(began)
	if err != nil {
		w.tally.add(&w.tally.failedPolls)
	}
	w.outage.note(err, began)
	return err
}

func (w *writer) look(began time.Time) error {
	// A file that is not where it was changes without our hearing of it.
	err := w.files.present()
	w.condition.lost.Store(err != nil)
	if err == nil {
		err = w.condition.damaged()
	}
	if err != nil {
		return err
	}
	version, err := w.readDataVersion()
	if err != nil {
		return err
	}
	changed := version != w.dataVersion
	if changed {
		w.dataVersion = version
		w.forget()
	}
	if watcher := w.watcher.Load(); watcher != nil {
		if changed {
			(*watcher).ChangedAll()
		}
		(*watcher).Trust(began.Add(staleBound))
	}
	return nil
}

func (w *writer) readDataVersion() (version int64, err error) {
	err = w.QueryRowContext(context.Background(), `PRAGMA data_version`).Scan(&version)
	return version, err
}
