package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"apikeyd/apikey"
	"apikeyd/internal/auditline"
	"apikeyd/store"
)

// auditExport is an opened file that audit export wrote.
type auditExport struct {
	file *os.File
	text *bufio.Reader
	last apikey.Timestamp // time of the last event that was read
}

// openExport opens an audit export. It returns nil for any other file.
func openExport(path string) (*auditExport, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text := bufio.NewReader(file)
	if first, err := text.Peek(1); err != nil || first[0] != '{' {
		return nil, file.Close()
	}
	return &auditExport{file: file, text: text}, nil
}

// events yields all events in the order of the file.
func (a *auditExport) events(yield func(store.Event, error) bool) {
	decoder := json.NewDecoder(a.text)
	for line := 1; ; line++ {
		var e auditline.Line
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			return
		}
		var event store.Event
		if err == nil {
			event, err = e.Event()
		}
		if err != nil {
			yield(event, fmt.Errorf("line %d is no audit event: %w", line, err))
			return
		}
		a.last = e.At
		if !yield(event, nil) {
			return
		}
	}
}
