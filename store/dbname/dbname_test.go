package dbname_test

import (
	"fmt"
	"strings"
	"testing"

	"apikeyd/store/dbname"
)

// Mistyped databases, each with a part of the advice. Unrefused, each would become an empty service in a file of
// that name.
var slips = map[string]string{
	"":                                     "must name a file",
	"keys.db ":                             "white space",
	" keys.db":                             "white space",
	"keys.db\r":                            "carriage return",
	"keys.db\n":                            "white space",
	"postgres://host/db\r":                 "carriage return",
	"keys.db\u200b":                        "white space",
	"keys.db\u00a0":                        "white space",
	"“keys.db”":                            "must not have quotes",
	"keys.db,":                             "punctuation",
	"keys.db;":                             "punctuation",
	"=keys.db":                             "not key=value pairs",
	"@keys.db":                             "must name a file",
	"localhost:5432/db":                    "from its first letter",
	"db.example.com:5432/db":               "from its first letter",
	"db-1:6432":                            "from its first letter",
	"keys\x00.db":                          "control characters",
	"\ufeffkeys.db":                        "white space",
	`"keys.db"`:                            "must not have quotes",
	`'postgres://u:hush@host/db'`:          "must not have quotes",
	"host=h user=u password=hush":          "not key=value pairs",
	"host = h dbname = keys":               "not key=value pairs",
	"dbname=keys":                          "not key=value pairs",
	"Server=h;Database=keys;Password=hush": "not key=value pairs",
	"User Id=u;Pwd=hush":                   "not key=value pairs",
	"APIKEYD_DATABASE=keys.db":             "not key=value pairs",
	"/data/keys.db;password=hush":          "not key=value pairs",
	"sqlite:keys.db":                       "by its path alone",
	"sqlite://keys.db":                     "by its path alone",
	"sqlite3:///data/keys.db":              "by its path alone",
	"SQLite:keys.db":                       "by its path alone",
	"file:keys.db":                         "by its path alone",
	"file:///data/keys.db?mode=rw":         "by its path alone",
	"keys.db?mode=ro":                      "without parameters",
	"/data/keys.db?_pragma=a":              "without parameters",
	":memory:":                             "in memory",
	"mysql://u:hush@host/db":               "begins with postgres://",
	"jdbc:postgresql://host/db":            "begins with postgres://",
	"https://keys.example.com":             "begins with postgres://",
	"mongodb:x":                            "begins with postgres://",
	"postgres:/x":                          "both slashes",
	"postgres:x":                           "both slashes",
	"postgresql:/u:hush@host/db":           "both slashes",
	"POSTGRES://u:hush@host/db":            "small letters",
	"pg://u:hush@host/db":                  "small letters",
	"u:hush@host/db":                       "from its first letter",
	"5u:hu/sh@host:5432/db":                "from its first letter",
	"//u:hush@host/db":                     "from its first letter",
	"postgres://u:hu@sh@host/db":           "%40 for @",
	"postgres://u:5432/hush@host/db":       "%2F for /",
	"postgres://u:5432?hush@host/db":       "%3F for ?",
	"postgres://u:5432#hush@host/db":       "%23 for #",
	"postgres://host/db#hush":              "%23 for #",
	"postgres://host?password=hu@sh":       "%40 for @",
	"postgres://u:hu sh@host/db":           "%20",
	"postgres://host/db&password=hush":     "parameters after a question mark",
	"postgres://host;password=hush/db":     "parameters after a question mark",
	"postgres://u:hush@<host>/db":          "parameters after a question mark",
	"postgres://host/postgres://host/db":   "must be a URL",
	"$DATABASE_URL":                        "nothing replaced",
	"${DATABASE_URL}":                      "nothing replaced",
	"/data/{{ .Values.db }}":               "nothing replaced",
	"%DATABASE%":                           "nothing replaced",
	"~/keys.db":                            "write the whole path",
	"-":                                    "standard input",
}

func TestNamesThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for name, want := range slips {
		err := dbname.Check(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", name, err, want)
		} else if told := dbname.Redact(err.Error()); told != err.Error() {
			t.Errorf("%q: what is told is redacted to %q", name, told)
		}
		if shown := dbname.Show(name); shown != "(name not shown)" {
			t.Errorf("%q is shown as %q", name, shown)
		}
	}
}

func TestNamesThatAreMeant(t *testing.T) {
	t.Parallel()
	for name, shown := range map[string]string{
		"keys.db":                           "keys.db",
		"./keys:prod.db":                    "./keys:prod.db",
		"keys-2030-01-31T12:00.db":          "keys-2030-01-31T12:00.db",
		"../a=b.db":                         "../a=b.db",
		"/data/keys@prod.db":                "/data/keys@prod.db",
		"keys@prod.db":                      "keys@prod.db",
		`C:\data\keys.db`:                   `C:\data\keys.db`,
		"what?now.db":                       "what?now.db",
		"it's.db":                           "it's.db",
		"postgres://host/db":                "postgres://host:5432/db",
		"postgresql://u:hush@host:1/db":     "postgres://host:1/db",
		"postgres://u:hu%40sh@host/db":      "postgres://host:5432/db",
		"postgres://host/d%40b?password=x":  "postgres://host:5432/d%40b",
		"postgres://u@a:1,b:2/db":           "postgres://a:1,b:2/db",
		"postgres://u@[::1]:1/db":           "postgres://[::1]:1/db",
		"postgres:///db?host=/run/x&user=u": "postgres://%2Frun%2Fx:5432/db",
		"postgres://u:hush@host:x/db":       "postgres://…",
		"postgres://u:hu%zzsh@host/db":      "postgres://…",
	} {
		if err := dbname.Check(name); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
		if got := dbname.Show(name); got != shown {
			t.Errorf("%q is shown as %q, want %q", name, got, shown)
		}
		if got := dbname.Show(dbname.Show(name)); !strings.Contains(shown, "…") && got != shown {
			t.Errorf("what is shown of %q is shown as %q", name, got)
		}
	}
}

// forms are all ways to give a user and a password in the name of a database.
var forms = []string{
	"postgres://%[1]s:%[2]s@%[3]s/%[4]s", "postgresql://%[1]s:%[2]s@%[3]s,other:1/%[4]s?sslmode=disable",
	"postgres://%[3]s/%[4]s?user=%[1]s&password=%[2]s", "postgres://%[1]s@%[3]s/%[4]s?sslpassword=%[2]s&passfile=%[2]s",
	"postgres://%[1]s:%[2]s@%[3]s", "postgres://:%[2]s@%[3]s/%[4]s", "postgres:/%[1]s:%[2]s@%[3]s/%[4]s",
	"host=%[3]s dbname=%[4]s user=%[1]s password=%[2]s", "password='%[2]s' user=%[1]s", "%[1]s:%[2]s@%[3]s/%[4]s",
	"//%[1]s:%[2]s@%[3]s/%[4]s", "mysql://%[1]s:%[2]s@%[3]s/%[4]s", `"postgres://%[1]s:%[2]s@%[3]s/%[4]s"`,
	"postgres://%[3]s/%[4]s;user=%[1]s;password=%[2]s", "jdbc:postgresql://%[3]s/%[4]s?user=%[1]s&password=%[2]s",
	"POSTGRES://%[1]s:%[2]s@%[3]s/%[4]s", "postgres://%[1]s:%[2]s@%[3]s/%[4]s\r",
}

// No part of a user or a password is ever shown, whatever they contain.
func FuzzName(f *testing.F) {
	for form := range forms {
		for _, odd := range []string{"", "@", "/", "?", "#", ":", "5/", "@h/", "@h:1/d?", "%", "%40", " ", "\n", "&", "=", ";", ",", "[", "]", "'", "\\", "://"} {
			f.Add(uint(form), odd, odd, "host", "db")
		}
	}
	f.Fuzz(func(t *testing.T, form uint, one, two, host, database string) {
		const user, begin, end = "UsEr", "PaSs", "WoRd"
		for _, part := range []string{host, database} {
			if strings.Contains(part, user) || strings.Contains(part, begin) || strings.Contains(part, end) {
				t.Skip("the place holds what must not be shown")
			}
			// Only text of a valid host, port and database may be shown.
			if strings.ContainsAny(part, "@/?#&=; ,[]:%'\"\\") {
				t.Skip("no host or database of a URL")
			}
		}
		name := fmt.Sprintf(forms[form%uint(len(forms))], one+user+two, two+begin+one+end+two, host, database)
		if strings.ContainsAny(name[:1], `/.\`) && !strings.HasPrefix(name, "//") || len(name) > 2 && name[1] == ':' {
			t.Skip("this is a path, and may be called anything")
		}
		shown, refusal := dbname.Show(name), fmt.Sprint(dbname.Check(name))
		inText := dbname.Redact("unexpected argument " + shown + ": " + refusal)
		for _, text := range []string{shown, refusal, inText} {
			for _, secret := range []string{user, begin, end} {
				if strings.Contains(text, secret) {
					t.Errorf("%q shows %q: %q", name, secret, text)
				}
			}
		}
	})
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"unexpected argument postgres://u:hush@host/db": "unexpected argument postgres://host:5432/db",
		"open postgres://u:hu@sh@host/db: no such file": "open postgres://…: no such file",
		"database postgres://host:1/db: away":           "database postgres://host:1/db: away",
		"mysql://u:hush@host/db, and more":              "mysql://…, and more",
		"host=h password=hush user=u":                   "host=h password=… user=u",
		"PGPASSWORD='hu sh'":                            "PGPASSWORD=…",
		"see https://example.com/a, and go on":          "see https://example.com/a, and go on",
	} {
		if got := dbname.Redact(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
