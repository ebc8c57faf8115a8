package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// echoModule must have the same version on both sides.
const echoModule = "github.com/labstack/echo/v4"

// machine describes the machine and the programs.
type machine struct {
	hardware string
	system   string
	program  string // commit and toolchain
	echo     string // version, the same on both sides
	wrk      string
}

func describeMachine(ctx context.Context, program string) (machine, error) {
	built, err := buildinfo.ReadFile(program)
	if err != nil {
		return machine{}, fmt.Errorf("%s: %w; run make build first", program, err)
	}
	own, _ := debug.ReadBuildInfo()
	m := machine{
		hardware: fmt.Sprintf("%d × %s, %s of memory", runtime.NumCPU(),
			fromProc("cpuinfo", `(?m)^model name\s*: (.*)$`, "unknown processor"), memorySize()),
		system:  fmt.Sprintf("%s %s, %s", runtime.GOOS, fromProc("version", `^Linux version (\S+)`, "unknown"), runtime.GOARCH),
		program: commit(ctx, built.Settings) + ", " + built.GoVersion,
		echo:    moduleVersion(built, echoModule),
		wrk:     wrkVersion(ctx),
	}
	if ours := moduleVersion(own, echoModule); ours != m.echo {
		return machine{}, fmt.Errorf("the floor has Echo %s and %s has %s; rebuild both", ours, program, m.echo)
	}
	return m, nil
}

// commit returns the commit that the program was built from. Go does not record it in a linked worktree;
// then it is the folder's current commit.
func commit(ctx context.Context, settings []debug.BuildSetting) string {
	revision, modified := "", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-dirty"
		}
	}
	if revision != "" {
		return "commit " + revision + modified
	}
	output, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output()
	if err != nil {
		return "an unknown commit"
	}
	return "commit " + strings.TrimSpace(string(output))
}

func moduleVersion(info *debug.BuildInfo, path string) string {
	if info == nil {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return "unknown"
}

// fromProc returns the match of a pattern's group in a file of /proc.
func fromProc(file, pattern, otherwise string) string {
	text, err := os.ReadFile("/proc/" + file)
	groups := regexp.MustCompile(pattern).FindSubmatch(text)
	if err != nil || groups == nil {
		return otherwise
	}
	return string(groups[1])
}

func memorySize() string {
	var kilobytes int
	if _, err := fmt.Sscan(fromProc("meminfo", `(?m)^MemTotal:\s+(\d+) kB`, ""), &kilobytes); err != nil {
		return "unknown amount"
	}
	return fmt.Sprintf("%.0f GiB", float64(kilobytes)/(1<<20))
}

// wrkVersion returns wrk's version. wrk --version exits with status 1.
func wrkVersion(ctx context.Context) string {
	output, _ := exec.CommandContext(ctx, "wrk", "--version").Output()
	name, _, _ := strings.Cut(string(output), " [")
	if name == "" {
		return "wrk is missing"
	}
	return name
}

// busyTime returns the CPU time that the machine has used since it started, including time that the
// hypervisor gave to other machines.
func busyTime() time.Duration {
	const user, nice, system, steal = 0, 1, 2, 7
	fields := strings.Fields(fromProc("stat", `(?m)^cpu (.*)$`, ""))
	var ticks time.Duration
	for _, i := range []int{user, nice, system, steal} {
		if i < len(fields) {
			n, _ := strconv.Atoi(fields[i])
			ticks += time.Duration(n)
		}
	}
	return ticks * time.Second / ticksPerSecond
}
