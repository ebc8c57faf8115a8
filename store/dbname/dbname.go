// Package dbname reads the name of a database, which is a path or a URL. It refuses names that are likely mistakes,
// and keeps credentials out of messages.
package dbname

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"
)

// IsPostgres reports whether a database is named by a URL of PostgreSQL.
func IsPostgres(name string) bool {
	return strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://")
}

// hidden replaces a name that must not be repeated in messages.
const hidden = "(name not shown)"

// Show returns what a database is called in messages: the path of a file; host, port and name of a database on a
// server. It contains nothing else of a URL, and nothing of a name that Check refuses: that may be a password in
// the wrong place.
func Show(name string) string {
	switch {
	case Check(name) != nil:
		return hidden
	case !IsPostgres(name):
		return name
	}
	config, err := pgx.ParseConfig(name)
	if err != nil {
		return "postgres://…"
	}
	hosts := []string{hostPort(config.Host, config.Port)}
	for _, other := range config.Fallbacks { // one host has several: with TLS and without
		if host := hostPort(other.Host, other.Port); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	// A query's escaping leaves nothing that has a meaning in a URL.
	database := strings.ReplaceAll(url.QueryEscape(config.Database), "+", "%20")
	return "postgres://" + strings.Join(hosts, ",") + "/" + database
}

func hostPort(host string, port uint16) string {
	if strings.HasPrefix(host, "/") { // the folder of a socket
		host = url.PathEscape(host)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// Patterns of names that are neither a path nor a URL of PostgreSQL.
var (
	scheme      = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+]+):`) // longer than the letter of a drive
	drive       = regexp.MustCompile(`^[A-Za-z]:[\\/]`)
	assignment  = regexp.MustCompile(`^([A-Za-z_][\w ]*)?=`)
	password    = regexp.MustCompile(`(?i)(^|[\s;&?])(password|passwd|pwd)\s*=`)
	credentials = regexp.MustCompile(`:.*@|^//.*@|^[^/]+:[56]43\d(/|$)`) // or the port of a server
	variable    = regexp.MustCompile(`\$[{(]|\{\{|^\$|^%\w+%`)
	parameters  = regexp.MustCompile(`\?(mode|cache|immutable|vfs|nolock|psow|_\w+)=`)
)

const wantURL = "must be a URL such as postgres://USER@HOST:5432/DATABASE, "

// Check refuses a name that cannot be meant as a file or as a database of PostgreSQL: the service would create an
// empty file of that name. The error says the right form, and repeats nothing of the name.
func Check(name string) error {
	switch {
	case name == "":
		return errors.New("must name a file")
	case strings.ContainsFunc(name, unicode.IsControl), strings.TrimFunc(name, isInvisible) != name:
		return errors.New("must not begin or end with white space or hold control characters: " +
			"look for a carriage return or a blank at the end of the line where it is set")
	case strings.Trim(name, "\"'`“”„‘’«»") != name, strings.TrimRight(name, ",;") != name:
		return errors.New("must not have quotes around it or punctuation after it: " +
			"what sets it keeps them as a part of the value")
	case IsPostgres(name):
		return checkURL(name)
	case variable.MatchString(name):
		return errors.New("holds a variable that nothing replaced: write the value itself")
	case strings.HasPrefix(name, "~"):
		return errors.New("must not begin with ~, which only a shell replaces: write the whole path")
	case name == "-", name[0] == '@':
		return errors.New("must name a file: standard input holds no database, and neither does a file that names one")
	case parameters.MatchString(name):
		return errors.New("must name a SQLite file by its path alone, without parameters")
	case password.MatchString(name):
		return errors.New(wantURL + "not key=value pairs")
	case strings.Contains(name, "://"):
		return checkScheme(name)
	}
	return checkBare(name)
}

func isInvisible(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// CheckOpen is Check for opening a database: its error says what the name is.
func CheckOpen(name string) error {
	if err := Check(name); err != nil {
		return fmt.Errorf("the database's name %w", err)
	}
	return nil
}

// checkBare refuses names that would be paths only because they are nothing else. ./NAME names a file literally.
func checkBare(name string) error {
	switch {
	case strings.HasPrefix(name, "//") && credentials.MatchString(name):
	case drive.MatchString(name), strings.ContainsAny(name[:1], `./\`):
		return nil
	case assignment.MatchString(name):
		return errors.New(wantURL + "not key=value pairs; a file with = in its name is ./NAME")
	case name == ":memory:":
		return errors.New("must name a SQLite file: in memory everything would be gone at the end")
	case scheme.MatchString(name):
		return checkScheme(name)
	case !credentials.MatchString(name):
		return nil
	}
	return errIncomplete
}

var errIncomplete = errors.New(wantURL + "from its first letter to its last; a file with a colon in its name is ./NAME")

// checkScheme says what to write instead of another scheme.
func checkScheme(name string) error {
	found := scheme.FindStringSubmatch(name)
	if found == nil {
		return errors.New("must name a SQLite file, or be a URL that begins with postgres://")
	}
	switch strings.ToLower(found[1]) {
	case "sqlite", "sqlite3", "file":
		return errors.New("must name a SQLite file by its path alone, such as /var/lib/apikeyd/apikeyd.db, without a sqlite: or file: prefix")
	case "postgres", "postgresql", "pg", "pgsql", "psql":
		return errors.New(wantURL + "with postgres:// in small letters and both slashes")
	}
	if credentials.MatchString(name) && !strings.Contains(name, "://") {
		return errIncomplete
	}
	return errors.New("must name a SQLite file, or be a URL that begins with postgres://; " +
		"a file with a colon in its name is ./NAME")
}

// checkURL refuses a URL of PostgreSQL that may be read in two ways. If it has an @, that ends the password:
// everything after it, up to the parameters, may be shown.
func checkURL(name string) error {
	_, rest, _ := strings.Cut(name, "://")
	at := strings.IndexByte(rest, '@')
	_, place, _ := strings.Cut(rest, "@")
	if at < 0 {
		place = rest
	}
	place, _, _ = strings.Cut(place, "?")
	switch {
	case strings.ContainsFunc(rest, unicode.IsSpace):
		return errors.New("must not hold white space: write %20 in a URL")
	case strings.Count(rest, "@") > 1, at >= 0 && strings.ContainsAny(rest[:at], "/?#"), strings.Contains(rest, "#"):
		return errors.New("must have at most one @, before the host: in a user or a password write %40 for @, %2F for /, " +
			"%3F for ? and %23 for #; or put the password into PGPASSWORD or ~/.pgpass")
	case strings.ContainsAny(place, "=&;<>{}|\\^$`\"'"), strings.Contains(place, "://"):
		return errors.New(wantURL + "with parameters after a question mark")
	}
	return nil
}

// Redact hides URLs with credentials, and passwords among key=value pairs, in a text of somebody else's. What Show
// returns passes unchanged.
func Redact(text string) string {
	text = inText.ReplaceAllStringFunc(text, func(found string) string {
		found, end := splitPunctuation(found)
		if slices.Contains(examples, found) {
			return found + end
		}
		if IsPostgres(found) && Check(found) == nil {
			return Show(found) + end
		}
		before, _, _ := strings.Cut(found, ":")
		return before + "://…" + end
	})
	return passwordInText.ReplaceAllString(text, "$1=…")
}

// examples occur in our own messages.
var examples = []string{
	"postgres://", "postgres://…", "postgres://USER@HOST/DATABASE", "postgres://USER@HOST:5432/DATABASE",
	"postgres://USER:PASSWORD@HOST:PORT/DATABASE",
}

// splitPunctuation cuts off punctuation of the sentence around a URL.
func splitPunctuation(found string) (url, end string) {
	url = strings.TrimRight(found, ":;,.)\"'`")
	return url, found[len(url):]
}

var (
	inText         = regexp.MustCompile(`(?i)\bpostgres(?:ql)?:\S+|\b[a-z][a-z0-9+.-]+:/+\S*@\S*`)
	passwordInText = regexp.MustCompile(`(?i)\b(\w*password|passwd|pwd)\s*=\s*(?:'[^']*'|"[^"]*"|[^\s&;]+)`)
)
