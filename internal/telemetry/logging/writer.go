package logging

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxWaiting limits the lines that wait, in bytes: some 4,000 of them.
	maxWaiting = 1 << 20
	// gathering is how long a line waits for others, so that many lines cost one write.
	gathering = 2 * time.Millisecond
	// closeTimeout limits how long Close waits for a reader that does not read.
	closeTimeout = 2 * time.Second
)

// Writer writes lines in the background, so that whoever logs waits neither for a disk nor for the reader of a pipe.
// It drops and counts lines that find maxWaiting waiting, and those that cannot be written. It is safe for
// concurrent use.
type Writer struct {
	to      io.Writer
	handler slog.Handler // writes to it, from run alone

	mu      sync.Mutex
	waiting []byte
	lines   uint64 // of waiting
	dropped uint64
	closed  bool

	wake chan struct{} // receives when the first line waits
	done chan struct{}
}

// newWriter returns a Writer, which tells of dropped lines through a handler that writes to w too.
func newWriter(w io.Writer, handler slog.Handler) *Writer {
	l := &Writer{to: w, handler: handler, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

// Write implements io.Writer. It takes one line, and never fails.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.waiting)+len(line) > maxWaiting {
		w.dropped++
		return len(line), nil
	}
	w.waiting = append(w.waiting, line...)
	if w.lines++; w.lines == 1 {
		w.wake <- struct{}{} // it has room: run received before it took the lines
	}
	return len(line), nil
}

// Dropped returns how many lines were dropped.
func (w *Writer) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Close writes what waits, unless the reader does not read for closeTimeout. Later lines are dropped.
func (w *Writer) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.wake)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(closeTimeout):
	}
}

func (w *Writer) run() {
	defer close(w.done)
	var spare []byte
	var told uint64 // of the dropped lines
	for range w.wake {
		time.Sleep(gathering)
		w.mu.Lock()
		batch, lines := w.waiting, w.lines
		w.waiting, w.lines = spare[:0], 0
		w.mu.Unlock()
		if _, err := w.to.Write(batch); err != nil {
			w.drop(lines)
		} else if dropped := w.Dropped(); dropped > told && w.tell(dropped-told) == nil {
			told = dropped
		}
		spare = batch
	}
}

func (w *Writer) drop(lines uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped += lines
}

// tell writes a line about dropped ones.
func (w *Writer) tell(dropped uint64) error {
	ctx := context.Background()
	if !w.handler.Enabled(ctx, slog.LevelWarn) {
		return nil
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines were dropped: their reader is too slow, or was gone", 0)
	r.AddAttrs(slog.Uint64("count", dropped))
	return w.handler.Handle(ctx, r)
}
