package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

type versionCommand struct {
	JSON bool `help:"Print JSON."`
}

// build is what the Go toolchain recorded about this program.
type build struct {
	Version  string `json:"version"`  // the tag, or one derived from the commit
	Revision string `json:"revision"` // the commit, or empty
	Time     string `json:"time"`     // of the commit, or empty
	Dirty    bool   `json:"dirty"`    // differs from the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints the version.
func (c versionCommand) Run(s streams) error {
	b := readBuild()
	if c.JSON {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(b)
	}
	parts := []string{b.Go, b.Platform}
	if b.Revision != "" {
		parts = append([]string{"revision " + b.Revision}, parts...)
	}
	if b.Dirty {
		parts[0] += " with changes"
	}
	_, err := fmt.Fprintf(s.out, "apikeyd %s (%s)\n", b.Version, strings.Join(parts, ", "))
	return err
}

func readBuild() build {
	b := build{Version: "(unknown version)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Dirty = setting.Value == "true"
		}
	}
	return b
}
