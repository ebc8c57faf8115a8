package handlers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oapi-codegen/runtime"

	"apikeyd/gen"
)

var plainBodies = map[string]bool{
	`{"key":"ak_x"}`:    true,
	`{"key":""}`:        true,
	`{"key":"a b<>&'"}`: true,
	`{"key": "ak_x", "scopes": ["a", "b:c"]}`:                        true,
	` { "key" : "x" , "scopes" : [ ] } `:                             true,
	`{"key":"x","scopes":["1","2","3","4","5","6","7"]}`:             true,
	`{"key":"x","client_address":"192.0.2.7"}`:                       true,
	`{"key":"x","client_address":"nonsense"}`:                        true, // the handler refuses it
	`{"key":"x","scopes":["a"],"client_address":"[2001:db8::7]:1"}`:  true,
	`{"key":"x","client_address":"192.0.2.7","scopes":["a"]}`:        false, // valid, but not plain
	`{"key":"x","client_address":"a","client_address":"b"}`:          false,
	`{"key":"x","client_address":null}`:                              false,
	`{"key":"x","client_address":["192.0.2.7"]}`:                     false,
	`{"key":"x","client_Address":"192.0.2.7"}`:                       false,
	`{"key":"x","scopes":["a"],"client_address"}`:                    false,
	`{"key":"x","client_address":"` + strings.Repeat("1", 65) + `"}`: false,
	``:                                       false,
	`{}`:                                     false,
	`{"key":"x"}x`:                           false,
	`{"key":"x"`:                             false,
	`{"key":"x`:                              false,
	`{"key":"x",}`:                           false,
	`{"key":"x","key":"y"}`:                  false,
	`{"Key":"x"}`:                            false,
	`{"key":"\u0041"}`:                       false,
	`{"key":"é"}`:                            false,
	"{\"key\":\"\t\"}":                       false,
	`{"key":1}`:                              false,
	`{"key":null}`:                           false,
	`{"key":"x","other":1}`:                  false,
	`{"scopes":[],"key":"x"}`:                false, // valid, but not plain
	`{"key":"x","scopes":["a","a"]}`:         false,
	`{"key":"x","scopes":["a b"]}`:           false,
	`{"key":"x","scopes":[""]}`:              false,
	`{"key":"x","scopes":["a",]}`:            false,
	`{"key":"x","scopes":[,"a"]}`:            false,
	`{"key":"x","scopes":["a""b"]}`:          false,
	`{"key":"x","scopes":"a"}`:               false,
	`{"key":"x","scopes":null}`:              false,
	`{"key":"x","scopes":["a"],"scopes":[]}`: false,
	`[{"key":"x"}]`:                          false,
	"\xef\xbb\xbf" + `{"key":"x"}`:           false,
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for text, want := range plainBodies {
		if _, ok := plainVerifyRequest([]byte(text)); ok != want {
			t.Errorf("%s: plain is %t, want %t", text, ok, want)
		}
	}
}

// plainVerifyRequest returns the same values as decoding, validation and binding.
func FuzzPlain(f *testing.F) {
	for text := range plainBodies {
		f.Add([]byte(text))
	}
	op := verifyOperation(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := plainVerifyRequest(data)
		if !ok {
			return
		}
		value, err := decodeJSON(data, maxValues)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if err := validateBody(op, value); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		var want gen.VerifyRequest
		if err := runtime.BindJSONValue(value, &want); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q differs (-want +got):\n%s", data, diff)
		}
	})
}

func verifyOperation(t testing.TB) operation {
	t.Helper()
	contract, err := gen.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	item := contract.Paths.Find("/v1/verify")
	op, err := newOperation(item, item.Post)
	if err != nil {
		t.Fatal(err)
	}
	return op
}
