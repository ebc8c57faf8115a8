package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a process may take to start or to stop. Stopping writes the last-used times of
// all verified keys.
const patience = time.Minute

// process is a server under load, a child process.
type process struct {
	url    string
	cmd    *exec.Cmd
	log    string // the file with its output
	stdin  io.Closer
	exited chan struct{}
}

// launch starts a server and waits until its log contains its URL. The log is a file, because reading a
// pipe would take CPU time from the server.
func launch(ctx context.Context, log, program string, args ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has its own
	p := &process{log: log, exited: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = patience
	p.cmd.Stdout, p.cmd.Stderr = file, file
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // its status is in cmd.ProcessState
		close(p.exited)
	}()
	if err := p.waitURL(); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

var urlInLog = regexp.MustCompile(`serving url=(http://\S+)`)

func (p *process) waitURL() error {
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(p.log)
		if err != nil {
			return err
		}
		if groups := urlInLog.FindSubmatch(text); groups != nil {
			p.url = string(groups[1])
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended: %s\n%s", p.name(), p.cmd.ProcessState, text)
		case <-deadline:
			return fmt.Errorf("%s did not log its URL\n%s", p.name(), text)
		case <-tick.C:
		}
	}
}

func (p *process) name() string { return filepath.Base(p.cmd.Path) }

// stop stops the process as an operator would. It returns an error if that failed, or if the process
// had logged errors.
func (p *process) stop() error {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may already have ended
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("%s did not stop within %s", p.name(), patience)
	}
	if !p.cmd.ProcessState.Success() {
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s ended: %s\n%s", p.name(), p.cmd.ProcessState, text[max(0, len(text)-2000):])
	}
	return p.complaints()
}

// complaints returns an error if the log contains any, because then the measurement is not valid.
func (p *process) complaints() error {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
			return fmt.Errorf("%s logged: %s", p.name(), strings.TrimSpace(line))
		}
	}
	return nil
}

// ticksPerSecond is the unit of times in /proc, always 100 on Linux.
const ticksPerSecond = 100

// cpuTime returns the CPU time that the process has used, in user and kernel mode.
func (p *process) cpuTime() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseCPUTime(string(text))
}

// parseCPUTime parses utime and stime, fields 14 and 15 of /proc/PID/stat. Field 2, a name in
// brackets, may contain anything.
func parseCPUTime(stat string) (time.Duration, error) {
	const state, user, system = 3, 14, 15
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= system-state {
		return 0, fmt.Errorf("/proc/PID/stat is %q", stat)
	}
	var ticks time.Duration
	for _, field := range []string{fields[user-state], fields[system-state]} {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += time.Duration(n)
	}
	return ticks * time.Second / ticksPerSecond, nil
}

// anonymousMemory returns the process's memory that is not backed by files, in bytes.
func (p *process) anonymousMemory() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseAnonymous(string(text))
}

var anonymousLine = regexp.MustCompile(`(?m)^RssAnon:\s+(\d+) kB$`)

func parseAnonymous(status string) (int, error) {
	groups := anonymousLine.FindStringSubmatch(status)
	if groups == nil {
		return 0, errors.New("/proc/PID/status has no RssAnon")
	}
	kilobytes, err := strconv.Atoi(groups[1])
	return kilobytes << 10, err
}
