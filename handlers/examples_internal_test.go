package handlers

import (
	"errors"
	"testing"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
)

// The errors in the contract's examples are those that a caller gets, word for word.
func TestErrorExamples(t *testing.T) {
	t.Parallel()
	contract, err := gen.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	for response, errs := range map[string]map[string]error{
		"BadRequest": {"body": apikey.Invalid("expires_at", "must be in the future"), "query": nil},
		"NameTaken":  {"taken": store.ErrNameTaken},
		"Conflict":   {"taken": store.ErrNameTaken, "revoked": store.ErrRevoked},
		"NotRotated": {"revoked": store.ErrRevoked, "rotated": store.ErrRotated},
		"NotFound":   {"key": store.ErrNotFound},
		"Forbidden": {
			"scope": &scopeError{lacking: apikey.Scopes{apikey.ScopeWrite}},
			"owner": apikey.Key{}.MayReach("another"),
		},
		"Error": {
			"unavailable": store.ErrUnavailable, "unknown": store.ErrUncertain, "tooLarge": errBodyTooLarge,
			"encoded": errBodyEncoded, "internal": errors.New("a bug"), "throttled": nil,
		},
	} {
		for name, example := range contract.Components.Responses[response].Value.Content[jsonMedia].Examples {
			err, listed := errs[name]
			if !listed {
				t.Errorf("%s: the example %s is not held by this test", response, name)
			}
			if err == nil {
				continue // other tests provoke it
			}
			p, value := problemOf(err), example.Value.Value.(map[string]any)
			if value["message"] != p.message || value["code"] != p.code || value["status"] != float64(p.status) {
				t.Errorf("%s: the example %s is %v, and the service says %d %s: %s", response, name, value, p.status, p.code, p.message)
			}
		}
	}
}
