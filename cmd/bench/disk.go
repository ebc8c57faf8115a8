package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// recordSize is that of a page of the database.
const recordSize = 4096

// diskRate returns how many records per second can be appended to a file in folder, each
// made durable before the next: what one client that waits for its answer could have at
// most.
func diskRate(ctx context.Context, folder string, seconds int) (rate float64, err error) {
	path := filepath.Join(folder, "append")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	record := make([]byte, recordSize)
	records, start := 0, time.Now()
	for time.Since(start) < time.Duration(seconds)*time.Second {
		record[records%recordSize]++ // no disk may take it for what it has already
		if _, err := file.Write(record); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		records++
	}
	return float64(records) / time.Since(start).Seconds(), nil
}
