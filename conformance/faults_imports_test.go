//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
)

func isImport(r *http.Request) bool { return r.URL.Path == "/v1/imports" }

// answeredRows makes a fault that changes the rows of imports' answers.
func answeredRows(change func(row map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if !isImport(r) {
			return
		}
		rewrite(a, func(body map[string]any) {
			rows, _ := body["rows"].([]any)
			for _, row := range rows {
				change(row.(map[string]any))
			}
		})
	})
}

var importFaults = map[string]planted{
	"an import creates nothing": {
		sentBodies(isImport, func(body map[string]any) { body["dry_run"] = true }),
		"secrets of another service verify", "want VALID",
	},
	"an import forgets scopes": {
		sentBodies(isImport, func(body map[string]any) {
			rows, _ := body["keys"].([]any)
			for _, row := range rows {
				delete(row.(map[string]any), "scopes")
			}
		}),
		"secrets of another service verify", "asking for the imported scope",
	},
	"a repeated import says created": {
		answeredRows(func(row map[string]any) {
			if row["outcome"] == "exists" {
				row["outcome"] = "created"
			}
		}),
		"a secret is imported once", "the second import",
	},
	"a dry run imports": {
		sentBodies(isImport, func(body map[string]any) { delete(body, "dry_run") }),
		"a dry run imports nothing", "want NOT_FOUND",
	},
	"a rotation of an imported key keeps its secret": {
		sentBodies(isRotation, func(body map[string]any) { body["grace_seconds"] = 600 }),
		"a rotation ends an imported secret", "after the rotation",
	},
}
