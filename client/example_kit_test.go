package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"apikeyd/apikey"
	servertest "apikeyd/internal/testkit/server"
)

// service is a running service for an example.
type service struct {
	URL    string
	Secret string // of a key with keys:admin
	Stop   func()
}

func startService() service {
	tb := &exampleTB{}
	s := servertest.Start(tb, servertest.Options{})
	_, secret := s.Add(tb, "admin", "admin", apikey.ScopeAdmin)
	return service{s.URL, secret.Reveal(), tb.end}
}

// textOrCode returns the body of a successful answer, or the code of an error.
func textOrCode(answer *http.Response) string {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		panic(err)
	}
	var response struct{ Code string }
	if json.Unmarshal(body, &response) == nil {
		return response.Code
	}
	return string(body)
}

// exampleTB implements the methods of testing.TB that a service needs. Examples have no testing.TB.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (*exampleTB) Helper()                  {}
func (*exampleTB) Context() context.Context { return context.Background() }
func (tb *exampleTB) Cleanup(f func())      { tb.cleanups = append(tb.cleanups, f) }
func (*exampleTB) Error(args ...any)        { panic(fmt.Sprint(args...)) }
func (*exampleTB) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }

func (tb *exampleTB) TempDir() string {
	dir, err := os.MkdirTemp("", "apikeyd-example-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (tb *exampleTB) end() {
	for i := len(tb.cleanups) - 1; i >= 0; i-- {
		tb.cleanups[i]()
	}
}
