package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
)

// bytesPerKey is what a key takes on disk: in its seed, in the copy under load and in what loads write, generously.
const bytesPerKey = 1000

// fitDisk replaces numbers of keys for which the disk has no room, and has the report say so.
func (c *runCommand) fitDisk(rep *report) error {
	var disk syscall.Statfs_t
	for _, folder := range []string{c.Folder, c.Seeds} {
		if folder == "" {
			continue
		}
		if err := errors.Join(os.MkdirAll(folder, 0o700), syscall.Statfs(folder, &disk)); err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		c.fit(int(disk.Bavail)*int(disk.Bsize), rep) //nolint:gosec // a disk has less than 2^63 bytes
	}
	return nil
}

// fit halves numbers of keys until they fit into this many bytes.
func (c *runCommand) fit(room int, rep *report) {
	c.Keys = slices.Clone(c.Keys)
	for i, asked := range c.Keys {
		for c.Keys[i] > targetKeys && c.Keys[i]*bytesPerKey > room {
			c.Keys[i] /= 2
		}
		if c.Keys[i] < asked {
			rep.notes = append(rep.notes, fmt.Sprintf("The disk has room for %s keys instead of %s.",
				thousands(c.Keys[i]), thousands(asked)))
		}
	}
	rep.command = *c
}
