// Package program does with a generated Go client what ../program.ts does with a TypeScript one,
// and stops at the first thing that goes wrong.
package program

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// URL and Key are of the service to use.
var (
	URL = os.Getenv("URL")
	Key = os.Getenv("KEY")
)

// Created is a key with its secret.
type Created struct{ ID, Secret string }

// Found is what the program looks at in a key.
type Found struct {
	ID, Name, Owner, Status string
	Limited                 bool
}

// Refused is an error that the service answered.
type Refused struct {
	Status int
	Code   string
}

func (r Refused) Error() string { return fmt.Sprintf("refused: %d %s", r.Status, r.Code) }

// Calls are made by a generated client. An empty owner is the caller's.
type Calls struct {
	Create          func(name, owner string, expires time.Time, limited bool) (Created, error)
	List            func(owner, cursor string, items int) (keys []Found, next string, err error)
	Get             func(name, owner string) (Found, error)
	RemoveRateLimit func(name string) (Found, error)
	Rotate          func(name string) (Created, error)
	Revoke          func(name, owner string) (Found, error)
	Verify          func(secret string) (code string, err error)
	Introspect      func(secret string) (active bool, err error)
}

// Run makes the calls and ends the process with 1 if one goes wrong.
func Run(c Calls) {
	expires := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

	// Another owner's key, not the caller's own of the same name.
	must(c.Create("same name", "", expires, false))
	must(c.Create("same name", "customer-42", expires, false))
	equal(must(c.Revoke("same name", "customer-42")).Owner, "customer-42")
	equal(must(c.Get("same name", "")).Status, "ACTIVE")
	equal(must(c.Get("same name", "customer-42")).Status, "REVOKED")

	// All keys of an owner, one each page.
	for _, name := range []string{"one", "two", "three"} {
		must(c.Create(name, "customer & co", expires, false))
	}
	var names []string
	for cursor := ""; ; {
		keys, next, err := c.List("customer & co", cursor, 1)
		must(next, err)
		for _, key := range keys {
			names = append(names, key.Name)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	equal(slices.Equal(names, []string{"three", "two", "one"}), true)

	// null is not the same as absent.
	must(c.Create("limited", "", expires, true))
	equal(must(c.Get("limited", "")).Limited, true)
	equal(must(c.RemoveRateLimit("limited")).Limited, false)
	equal(must(c.Get("limited", "")).Limited, false)

	// A new secret at once; the old one ends.
	created := must(c.Create("rotated", "", expires, false))
	rotated := must(c.Rotate("rotated"))
	equal(rotated.ID, created.ID)
	equal(must(c.Verify(created.Secret)), "NOT_FOUND")
	equal(must(c.Verify(rotated.Secret)), "VALID")
	equal(must(c.Introspect(rotated.Secret)), true)

	// A name with what paths and queries are made of.
	awkward := "a/b 100% ?x=1&y#z ü+"
	created = must(c.Create(awkward, "", expires, false))
	equal(must(c.Get(awkward, "")).ID, created.ID)
	equal(must(c.Revoke(awkward, "")).Status, "REVOKED")

	// Errors say what is wrong.
	_, err := c.Get("nowhere", "")
	equal(err, error(Refused{404, "KEY_NOT_FOUND"}))
	_, err = c.Create("old", "", expires.AddDate(-10, 0, 0), false)
	equal(err, error(Refused{400, "INVALID_REQUEST"}))
	_, err = c.Create("rotated", "", expires, false)
	equal(err, error(Refused{409, "NAME_TAKEN"}))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func equal[T comparable](got, want T) {
	if got != want {
		panic(fmt.Sprintf("got %v, want %v", got, want))
	}
}
