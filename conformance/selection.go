package conformance

import (
	"fmt"
	"path"
)

// Selection says which checks run, and which of them have findings. Its patterns are those of
// path.Match. A pattern with a slash is one for GROUP/NAME; another one is for a name in any group,
// or for a whole group.
type Selection struct {
	Only   []string // the checks to run; none means all. The server's contract is always compared.
	Skip   []string // checks that are reported as skipped
	Expect []string // checks that must have findings, which are reported as expected
}

// Check describes a check of the suite.
type Check struct {
	Name  string `json:"name"`  // GROUP/NAME
	About string `json:"check"` // what it checks, in one line
}

// Checks returns the checks that a selection does not leave out.
func (s Selection) Checks() []Check {
	var all []Check
	for _, c := range checks() {
		if s.includes(c) && matching(s.Skip, c) == "" {
			all = append(all, Check{c.fullName(), c.about})
		}
	}
	return all
}

// CheckPattern returns an error if a pattern is malformed or matches no check.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("%q is not a pattern: a [ lacks its ], or a \\ what it escapes", pattern)
	}
	for _, c := range checks() {
		if matches(pattern, c) {
			return nil
		}
	}
	return fmt.Errorf("%q matches no check; apikeyd conformance --list prints their names", pattern)
}

func (s Selection) validate() error {
	for _, patterns := range [][]string{s.Only, s.Skip, s.Expect} {
		for _, pattern := range patterns {
			if err := CheckPattern(pattern); err != nil {
				return err
			}
		}
	}
	return nil
}

// includes reports whether a check is part of a run, be it skipped or not.
func (s Selection) includes(c check) bool {
	return len(s.Only) == 0 || c.fullName() == contractCheck || matching(s.Only, c) != ""
}

// matching returns the first pattern that matches a check, or "".
func matching(patterns []string, c check) string {
	for _, pattern := range patterns {
		if matches(pattern, c) {
			return pattern
		}
	}
	return ""
}

func matches(pattern string, c check) bool {
	for _, name := range []string{c.fullName(), c.name, c.group} {
		if found, err := path.Match(pattern, name); found && err == nil {
			return true
		}
	}
	return false
}
