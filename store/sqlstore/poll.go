package sqlstore

import "time"

const (
	// pollInterval is how often the writer looks whether another process changed the file.
	pollInterval = 100 * time.Millisecond
	// staleBound is how long after such a look what is remembered of the file counts. It
	// is the longest time for which a server may not know of a change by the command line.
	staleBound = 500 * time.Millisecond
)

// noted looks what other processes did, and notes how that went.
func (w *writer) noted(look func(*writer) error) error {
	began := w.now()
	err := look(w)
	if err != nil {
		w.tally.add(&w.tally.failedPolls)
	}
	w.outage.note(err, began)
	return err
}
