//go:build !unix

package main

import "math"

// maxOpenFiles is how many files and connections the process may have open.
func maxOpenFiles() int { return math.MaxInt32 }
