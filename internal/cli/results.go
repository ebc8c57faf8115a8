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

// results is standard output. It remembers that a write failed, so that no command ends well
// whose results nobody got, whatever it does with the error.
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

// withoutPath is an error of a file without its name.
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

// isTerminal reports whether a person reads what is written.
func isTerminal(w io.Writer) bool {
	file := fileOf(w)
	return file != nil && term.IsTerminal(int(file.Fd()))
}

// hasColor reports whether colours can be shown, and are wanted (no-color.org).
func hasColor(w io.Writer) bool {
	noColor, _ := os.LookupEnv("NO_COLOR")
	kind, _ := os.LookupEnv("TERM")
	return noColor == "" && kind != "dumb" && isTerminal(w)
}

// widthOf is how many columns a terminal has, or 0 if it is none or does not say.
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

// mustBeRead refuses to go on if standard output is closed, for commands without whose
// output nothing is left of their work. A pipe whose reader has gone is an error of the write
// from now on, rather than the end of the process.
func (s streams) mustBeRead() error {
	signal.Ignore(syscall.SIGPIPE)
	if file := fileOf(s.out); file != nil && wasClosed(file) {
		return errors.New("standard output is closed, or is /dev/null opened for reading and writing, so the result would be lost; nothing was done")
	}
	return nil
}
