package console

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/client"
)

func TestEscapeFormulas(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   "",
		"ci-pipeline; a = b": "ci-pipeline; a = b",
		"a+b@c":              "a+b@c",
		"=1+1":               "'=1+1",
		"-1":                 "'-1",
		"@SUM(A1)":           "'@SUM(A1)",
		" =1":                " '=1",
		"\"=1":               "\"'=1",
		"\ufeff+1":           "\ufeff'+1",
		"a;=1":               "a;'=1",
		"a;\"=1\"":           "a;\"'=1\"",
		"a; -1;+2":           "a; '-1;'+2",
		"a|@b":               "a|'@b",
		"a,=1":               "a,'=1",
		"\uff1d1":            "'\uff1d1",
		"a;\uff0b1":          "a;'\uff0b1",
		"\uff0d1":            "'\uff0d1",
		"\uff20a":            "'\uff20a",
	} {
		if got := escapeFormulas(text); got != want {
			t.Errorf("escapeFormulas(%q) = %q, want %q", text, got, want)
		}
	}
}

// A CSV export has a column for each property of an event, with that event's value.
func TestExportedColumns(t *testing.T) {
	t.Parallel()
	var e client.AuditEvent
	event := reflect.ValueOf(&e).Elem()
	var names, want []string
	for field, value := range event.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
		cell := name
		switch {
		case value.Kind() == reflect.String:
			value.SetString(name)
		case name == "at":
			e.At, cell = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), "2026-01-31T12:00:00.000Z"
		case name == "changes":
			cell = "{}"
		default:
			t.Fatalf("this test does not know %s", name)
		}
		want = append(want, cell)
	}
	var out bytes.Buffer
	if err := csvEncoder(&out)(e); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 2 || !slices.Equal(rows[0], names) || !slices.Equal(rows[1], want) {
		t.Errorf("rows %q, %v; want %q and %q", rows, err, names, want)
	}
}

// Whichever separator a reader uses, no cell is a formula, and the changes are still JSON.
func TestExportedCells(t *testing.T) {
	t.Parallel()
	const evil = `x;=1;"=2";` + "\uff1d3|@4,+5"
	to := map[string]string{"note": evil, "=name": "-1"}
	var out bytes.Buffer
	err := csvEncoder(&out)(client.AuditEvent{
		Owner: evil, Name: evil, Changes: client.AuditChanges{Metadata: &client.AuditChange[map[string]string]{To: &to}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(out.String(), "\r\n")
	for _, separator := range []string{";", "|", "\t"} {
		for cell := range strings.SplitSeq(line, separator) {
			if strings.IndexAny(strings.TrimLeft(cell, `" `), "=+-@\uff1d") == 0 {
				t.Errorf("split at %q, %q is a formula", separator, cell)
			}
		}
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var changes client.AuditChanges
	if err := json.Unmarshal([]byte(rows[1][6]), &changes); err != nil || (*changes.Metadata.To)["note"] != evil {
		t.Errorf("the changes are %q: %v", rows[1][6], err)
	}
}
