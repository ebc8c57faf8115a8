package sqlitefile

import (
	"strings"
	"unicode/utf8"

	"zombiezen.com/go/sqlite"
)

// addTranslate gives a connection PostgreSQL's translate(text, from, to), for letters other than ASCII.
func addTranslate(conn *sqlite.Conn) error {
	return conn.CreateFunction("translate", &sqlite.FunctionImpl{
		NArgs: 3, Deterministic: true,
		Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
			return sqlite.TextValue(replaceLetters(args[0].Text(), args[1].Text(), args[2].Text())), nil
		},
	})
}

func replaceLetters(text, from, to string) string {
	return strings.Map(func(r rune) rune {
		at := -1
		if r >= utf8.RuneSelf {
			at = strings.IndexRune(from, r)
		}
		if at < 0 {
			return r
		}
		rest := to
		for range utf8.RuneCountInString(from[:at]) {
			_, size := utf8.DecodeRuneInString(rest)
			rest = rest[size:]
		}
		replaced, _ := utf8.DecodeRuneInString(rest)
		return replaced
	}, text)
}
