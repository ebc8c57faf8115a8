package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// results is standard output. It remembers write errors, so that a command whose output was lost
// never succeeds, even if it ignores the error.
type results struct {
	io.Writer
	err error
}

// Write writes, and remembers an error.
func (r *results) Write(p []byte) (int, error) {
	n, err := r.Writer.Write(p)
	if err != nil {
		err = fmt.Errorf("standard output could not be written: %w", withoutPath(err))
		r.err = err
	}
	return n, err
}

// withoutPath strips the file name from an error.
func withoutPath(err error) error {
	if path, ok := err.(*os.PathError); ok { //nolint:errorlint // os.File returns it as it is
		return path.Err
	}
	return err
}

// fileOf returns the file behind a writer, or nil.
func fileOf(w io.Writer) *os.File {
	if r, ok := w.(*results); ok {
		w = r.Writer
	}
	file, _ := w.(*os.File)
	return file
}

// isTerminal reports whether a writer is a terminal.
func isTerminal(w io.Writer) bool {
	file := fileOf(w)
	return file != nil && term.IsTerminal(int(file.Fd()))
}

// hasColor reports whether to use colours (no-color.org).
func hasColor(w io.Writer) bool {
	noColor, _ := os.LookupEnv("NO_COLOR")
	kind, _ := os.LookupEnv("TERM")
	return noColor == "" && kind != "dumb" && isTerminal(w)
}

// widthOf returns the columns of a terminal, or 0 if they are unknown.
func widthOf(w io.Writer) int {
	file := fileOf(w)
	if file == nil {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// mustBeRead fails if standard output is closed, for commands whose output is their only result. From
// then on, writing to a closed pipe is an error and does not end the process.
func (s streams) mustBeRead() error {
	signal.Ignore(syscall.SIGPIPE)
	if file := fileOf(s.out); file != nil && wasClosed(file) {
		return errors.New("standard output is closed, or is /dev/null opened for reading and writing, so the result would be lost; nothing was done")
	}
	return nil
}
