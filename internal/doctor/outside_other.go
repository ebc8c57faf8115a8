//go:build !linux

package doctor

import "runtime"

// hasPermissions says whether files have Unix permissions.
const hasPermissions = runtime.GOOS != "windows"

func fileSystem(string) (string, diskKind, error) { return "", unknownDisk, nil }

func freeDisk(string) (int64, bool, error) { return 0, false, nil }

func openFilesLimit() (uint64, bool) { return 0, false }

func foreignFile(string) string { return "" }
