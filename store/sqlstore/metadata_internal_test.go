package sqlstore

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

// TestMetadataEntries looks for entries in texts, as lists do, among names and values that look like JSON.
func TestMetadataEntries(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	word := func() string {
		b := make([]byte, random.IntN(3))
		for i := range b {
			b[i] = `,:"\{}`[random.IntN(6)]
		}
		return string(b)
	}
	for range 20_000 {
		metadata := apikey.Metadata{}
		for range 1 + random.IntN(3) {
			metadata[word()] = word()
		}
		text, _ := metadataColumn{&metadata}.value().(string)
		var read apikey.Metadata
		if err := json.Unmarshal([]byte(text), &read); err != nil || !cmp.Equal(read, metadata) {
			t.Fatalf("%q is stored as %s: %q, %v", metadata, text, read, err)
		}
		for range 50 {
			name, value := word(), word()
			if name == "" {
				continue
			}
			has, want := metadata[name]
			entry := metadataEntry(name, value)
			if found := strings.HasPrefix(text[1:], entry) || strings.Contains(text, ","+entry); found != (want && has == value) {
				t.Fatalf("%q=%q is found in %s: %t", name, value, text, found)
			}
		}
	}
}

// TestStoredMetadata pins the texts that databases hold: lists would not find others.
func TestStoredMetadata(t *testing.T) {
	t.Parallel()
	for want, metadata := range map[string]apikey.Metadata{
		`{}`:                                 {},
		`{"a":"","b":"\"\\/"}`:               {"b": `"\/`, "a": ""},
		`{"é":"\u003c\u0026\u003e","🔑":"'"}`: {"🔑": "'", "é": "<&>"},
		`{"a":"\u0000\b\t\n\f\r\u001f"}`:     {"a": "\x00\b\t\n\f\r\x1f"},
		`{"a":"\u2028\u2029"}`:               {"a": "\u2028\u2029"},
		`{"\u003a":":","x:":","}`:            {":": ":", "x:": ","},
	} {
		if got := (metadataColumn{&metadata}).value(); got != want {
			t.Errorf("%q is stored as %s, want %s", metadata, got, want)
		}
	}
}
