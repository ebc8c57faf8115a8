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
	// recordSize is that of a page of the database.
	recordSize = 4096
	// overwritten is how much is written over, round and round: about as much as a
	// write-ahead log grows to before it begins anew.
	overwritten = 4 << 20
)

// disk is how many records per second one writer can make durable, one by one.
type disk struct {
	appends    float64 // at the end of a growing file
	overwrites float64 // over what a file has already: the file system has less to keep
}

// measureDisk measures a disk for so many seconds, by turns.
func measureDisk(ctx context.Context, folder string, seconds int) (disk, error) {
	each := time.Duration(seconds) * time.Second / 2
	appends, err := syncRate(ctx, folder, 0, each)
	if err != nil {
		return disk{}, err
	}
	overwrites, err := syncRate(ctx, folder, overwritten, each)
	return disk{appends, overwrites}, err
}

// mean is of two measurements that took equally long.
func mean(a, b disk) disk {
	return disk{(a.appends + b.appends) / 2, (a.overwrites + b.overwrites) / 2}
}

// syncRate returns how many records per second can be written into a file and made
// durable, each before the next. The file begins with so many bytes that are written
// over; without any, it grows.
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
	}
	return float64(records) / time.Since(start).Seconds(), nil
}
