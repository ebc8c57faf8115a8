package postgres_test

import (
	"strings"
	"testing"

	"apikeyd/store/sqlstore"
)

// The error about a URL that cannot be read says what is wrong, and repeats none of its values.
func TestUnreadableURLs(t *testing.T) {
	t.Parallel()
	const host = "postgres://app:hunter2@db.example.com/keys"
	for query, want := range map[string]string{
		"?sslmode=Require":                          "sslmode must be disable, allow, prefer, require, verify-ca or verify-full",
		"?sslmode=on&application_name=hunter2":      "sslmode must be",
		"?connect_timeout=soon":                     "parameter connect_timeout",
		"?target_session_attrs=ReadWrite":           "parameter target_session_attrs",
		"?default_query_exec_mode=Exec":             "parameter default_query_exec_mode",
		"?options=-c%20datestyle=hunter2":           "write %3D for =",
		"?hunter2":                                  "NAME=VALUE",
		"?sslmode=verify-full&sslrootcert=/hunter2": "parameter sslrootcert",
	} {
		_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: host + query})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}
