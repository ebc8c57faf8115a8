package conformance

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"apikeyd/gen"
)

// Whatever a server shows as its contract is compared or refused.
func TestOddContracts(t *testing.T) {
	t.Parallel()
	ours, err := readContract(gen.Contract)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := os.ReadFile("../internal/contracts/seed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	create := func(operation string) string {
		return `{"openapi":"3.0.3","info":{"title":"t","version":"1"},"paths":{"/v1/api-keys":{"post":` + operation + `}},
			"components":{"schemas":{"S":{"type":"object","properties":{"s":{"$ref":"#/components/schemas/S"}}}}}}`
	}
	for document, refused := range map[string]bool{
		string(seed): false,
		create(`{"responses":{"200":{"description":"d"}}}`):                                                                                  false,
		create(`{"responses":{"200":{"description":"d","content":{"application/json":{}}}}}`):                                                false,
		create(`{"responses":{"200":{"description":"d","content":{"a":{"schema":{"$ref":"#/components/schemas/S"}}}}}}`):                     false,
		create(`{"responses":{"200":{"description":"d"}},"requestBody":{"content":{"a":{"schema":{"allOf":[null]}}}}}`):                      true,
		create(`{"responses":{"200":{"description":"d"}},"requestBody":{"content":{"a":{"schema":{"properties":{"x":null}}}}}}`):             true,
		create(`{"responses":{"200":{"description":"d"}},"requestBody":{"content":{"a":{"schema":{"properties":{"x":{"type":"array"}}}}}}}`): true,
		create(`{"responses":{"200":{"description":"d"}},"requestBody":{"content":{"a":null}}}`):                                             false,
		create(`{"responses":{"200":{"description":"d"}},"requestBody":{"$ref":"http://127.0.0.1:1/x"}}`):                                    true,
		create(`{"responses":{"200":{"description":"d","headers":{"H":null}}},"parameters":[{}]}`):                                           true,
		create(`{"responses":{"200":{"description":"d"}},"parameters":[null]}`):                                                              true,
		create(`{"responses":{"200":null}}`): true,
		create(`{}`):                         true,
		create(`null`):                       true,
		`{"openapi":"3.0.3"}`:                true,
		`[]`:                                 true, `null`: true, ``: true, `<!DOCTYPE html>`: true,
		strings.Repeat("[", 10000): true,
	} {
		theirs, err := ownContract(t.Context(), answer{status: http.StatusOK, raw: []byte(document)})
		if (err != nil) != refused {
			t.Errorf("%.200s: error %v", document, err)
		}
		if err != nil {
			continue
		}
		if missing, _ := compareContracts(ours.document, theirs); !slices.ContainsFunc(missing, func(m string) bool {
			return strings.HasPrefix(m, "an operation: ")
		}) {
			t.Errorf("%.200s: missing is %q", document, missing)
		}
	}
}
