package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"apikeyd/apikey"
)

const (
	// stdinName is the file name that means standard input.
	stdinName = "-"
	// maxSecretFile is larger than any secret, and small enough to read a wrong file without harm.
	maxSecretFile = 64 << 10
)

// streams are a command's standard streams: results go to out, everything else to err.
type streams struct {
	in       *input
	out, err io.Writer
}

// input is standard input.
type input struct {
	file  *os.File
	lines *bufio.Reader
}

func newInput(file *os.File) *input { return &input{file: file, lines: bufio.NewReader(file)} }

// isTerminal reports whether a person can be asked.
func (i *input) isTerminal() bool { return term.IsTerminal(int(i.file.Fd())) }

// note prints additional information on a terminal only.
func (s streams) note(format string, args ...any) {
	if file, ok := s.err.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprintf(s.err, format+"\n", args...)
	}
}

// ask returns the answer to a question: a line of standard input. The question is shown on a terminal
// only.
func (s streams) ask(ctx context.Context, question string) (string, error) {
	if s.in.isTerminal() {
		fmt.Fprint(s.err, question)
	}
	return await(ctx, begin(s.in.line))
}

// askSecret is ask without echo.
func (s streams) askSecret(ctx context.Context, question string) (string, error) {
	if !s.in.isTerminal() {
		return await(ctx, begin(s.in.line))
	}
	fd := int(s.in.file.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	defer fmt.Fprintln(s.err)
	// If ctx ends during the read, nothing else turns the echo on again.
	defer func() { _ = term.Restore(fd, before) }()
	answer := begin(func() (string, error) {
		text, err := term.ReadPassword(fd)
		if errors.Is(err, io.EOF) {
			err = errNoInput
		}
		return string(text), err
	})
	// Show the question only once the echo is off, for people who paste at once.
	for range 100 {
		if now, err := term.GetState(fd); err != nil || *now != *before {
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Fprint(s.err, question)
	return await(ctx, answer)
}

var errNoInput = errors.New("standard input ended, but more input is needed")

func (i *input) line() (string, error) {
	text, err := i.lines.ReadString('\n')
	if errors.Is(err, io.EOF) && text == "" {
		return "", errNoInput
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(text), nil
}

// reading is the result of a read.
type reading struct {
	text string
	err  error
}

// begin reads in the background, because reading from a terminal cannot be interrupted.
func begin(read func() (string, error)) <-chan reading {
	done := make(chan reading, 1)
	go func() {
		text, err := read()
		done <- reading{text, err}
	}()
	return done
}

// await returns what was read, or ctx's error as soon as ctx ends; the read goes on in the background.
func await(ctx context.Context, done <-chan reading) (string, error) {
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readSecret reads a secret from a file, from standard input or from a prompt, and trims white space.
func (s streams) readSecret(ctx context.Context, file, question string) (string, error) {
	if file == stdinName && s.in.isTerminal() {
		text, err := s.askSecret(ctx, question)
		return apikey.TrimSecret(text), err
	}
	text, err := s.readFile(ctx, file)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return "", fmt.Errorf("%s is UTF-16 text, as Windows PowerShell writes it; save it as ASCII or UTF-8", inputName(file))
	}
	if text = apikey.TrimSecret(text); text == "" {
		return "", fmt.Errorf("%s is empty; it should hold a secret", inputName(file))
	}
	return text, nil
}

// readFile reads a small file, or standard input.
func (s streams) readFile(ctx context.Context, file string) (string, error) {
	return await(ctx, begin(func() (string, error) {
		if file == stdinName {
			return readBounded(s.in.lines)
		}
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close() //nolint:errcheck // it was only read
		return readBounded(f)
	}))
}

// inputName names a file in messages.
func inputName(file string) string {
	if file == stdinName {
		return "standard input"
	}
	return file
}

func readBounded(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSecretFile+1))
	if err == nil && len(text) > maxSecretFile {
		err = errors.New("that is far too long for a secret")
	}
	return string(text), err
}
