package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	// recordSize is the size of a page of the database.
	recordSize = 4096
	// overwritten is the size of the file that is overwritten in a loop: about the size at which a
	// write-ahead log restarts.
	overwritten = 4 << 20
)

// disk is how many records per second one writer can make durable, one by one.
type disk struct {
	appends    float64 // to a growing file
	overwrites float64 // in an existing file, which costs the file system less
}

// measureDisk measures a disk for this number of seconds, half of them for each rate.
func measureDisk(ctx context.Context, folder string, seconds int) (disk, error) {
	each := time.Duration(seconds) * time.Second / 2
	appends, err := syncRate(ctx, folder, 0, each)
	if err != nil {
		return disk{}, err
	}
	overwrites, err := syncRate(ctx, folder, overwritten, each)
	return disk{appends, overwrites}, err
}

// mean returns the mean of two measurements of equal length.
func mean(a, b disk) disk {
	return disk{(a.appends + b.appends) / 2, (a.overwrites + b.overwrites) / 2}
}

// syncRate returns how many records per second can be written to a file and synced, one by one. They
// overwrite a file of this size in a loop, or with size 0 append to a growing one.
func syncRate(ctx context.Context, folder string, size int, lasting time.Duration) (rate float64, err error) {
	path := filepath.Join(folder, "records")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	if _, err := file.Write(make([]byte, size)); err != nil {
		return 0, err
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	record := make([]byte, recordSize)
	records, start := 0, time.Now()
	for ; time.Since(start) < lasting; records++ {
		if size > 0 && records*recordSize%size == 0 {
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				return 0, err
			}
		}
		record[records%recordSize]++ // so that each record differs from the old content
		if _, err := file.Write(record); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	return float64(records) / time.Since(start).Seconds(), nil
}
