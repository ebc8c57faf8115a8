//go:build !unix

package cli

import "os"

// wasClosed reports whether a standard stream was closed when the program started.
func wasClosed(*os.File) bool { return false }
