package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed scripts/*.lua
var scripts embed.FS

// load is one run of wrk.
type load struct {
	url         string
	script      string   // a file in scripts/, without its extension
	options     []string // NAME=VALUE for the script; secrets are passed as file names
	connections int
	seconds     int
}

// figures are the results of one load.
type figures struct {
	requests int
	duration time.Duration
	p50, p99 time.Duration
	wrk      time.Duration // CPU time of wrk itself
}

func (f figures) perSecond() float64 { return float64(f.requests) / f.duration.Seconds() }

// manyConnections is the number of connections from which wrk gets a second thread.
const manyConnections = 64

// run puts the load on its server. Any answer but a success is an error, because then the operation was
// not measured.
func (l load) run(ctx context.Context, folder string) (figures, error) {
	script, err := writeScript(folder, l.script)
	if err != nil {
		return figures{}, err
	}
	threads := 1
	if l.connections >= manyConnections {
		threads = 2
	}
	args := []string{
		"--latency", "--timeout", "10s", "--script", script,
		"--threads", strconv.Itoa(threads), "--connections", strconv.Itoa(l.connections),
		"--duration", strconv.Itoa(l.seconds) + "s", l.url, "--",
	}
	cmd := exec.CommandContext(ctx, "wrk", append(args, l.options...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return figures{}, errors.New("wrk is not installed; apt-get install wrk")
	}
	if err != nil {
		return figures{}, fmt.Errorf("wrk: %w\n%s", err, stderr.String())
	}
	f, err := parseFigures(string(output))
	f.wrk = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return f, err
}

// writeScript writes a script for wrk, after the part that all scripts share.
func writeScript(folder, name string) (string, error) {
	var text []byte
	for _, part := range []string{"common", name} {
		lua, err := scripts.ReadFile("scripts/" + part + ".lua")
		if err != nil {
			return "", err
		}
		text = append(text, lua...)
	}
	path := filepath.Join(folder, name+".lua")
	return path, os.WriteFile(path, text, 0o600)
}

var figuresLine = regexp.MustCompile(`(?m)^figures (.*)$`)

// parseFigures reads the line that common.lua prints.
func parseFigures(output string) (figures, error) {
	groups := figuresLine.FindStringSubmatch(output)
	if groups == nil {
		return figures{}, fmt.Errorf("wrk printed no figures:\n%s", output)
	}
	numbers := make(map[string]int)
	for field := range strings.FieldsSeq(groups[1]) {
		name, text, _ := strings.Cut(field, "=")
		n, err := strconv.Atoi(text)
		if err != nil {
			return figures{}, fmt.Errorf("wrk's figures: %w:\n%s", err, output)
		}
		numbers[name] = n
	}
	for _, failure := range []string{"connect", "read", "write", "timeout", "status", "wrong"} {
		if numbers[failure] != 0 {
			return figures{}, fmt.Errorf("%d requests failed (%s):\n%s", numbers[failure], failure, output)
		}
	}
	f := figures{
		requests: numbers["requests"],
		duration: time.Duration(numbers["duration"]) * time.Microsecond,
		p50:      time.Duration(numbers["p50"]) * time.Microsecond,
		p99:      time.Duration(numbers["p99"]) * time.Microsecond,
	}
	if f.requests == 0 || f.duration == 0 {
		return figures{}, fmt.Errorf("no request was answered:\n%s", output)
	}
	return f, nil
}
