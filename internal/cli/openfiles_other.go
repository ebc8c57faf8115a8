//go:build !unix

package cli

import (
	"math"
	"os"
)

// maxOpenFiles is how many files and connections the process may have open.
func maxOpenFiles() int { return math.MaxInt32 }

// wasClosed reports whether a standard stream was closed when the program began.
func wasClosed(*os.File) bool { return false }
