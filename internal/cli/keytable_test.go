package cli

import (
	"strings"
	"testing"
	"time"

	"apikeyd/client"
)

// On a terminal no line is wider than the terminal, whatever it contains.
func TestKeyTableFits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	keys := []client.Key{
		{ID: "0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f", Owner: "customer-42", Name: "ci", Prefix: "ak_0TTLJ726",
			Status: client.StatusActive, ExpiresAt: now.Add(30 * 24 * time.Hour), Scopes: []string{"datasets:read"}},
		{ID: "0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0e", Owner: strings.Repeat("鍵", 60), Name: strings.Repeat("n", 255),
			Prefix: "a_prefix_of_20_chars_0TTLJ726", Status: client.StatusRevoked, ExpiresAt: now.AddDate(7000, 0, 0),
			LastUsedAt: now.Add(-59 * time.Second), Scopes: strings.Fields(strings.Repeat("scope:x ", 64))},
	}
	for _, columns := range []int{1, 40, 80, 120, 400} {
		var text strings.Builder
		table := keyTable{out: &text, columns: columns, now: now}
		for _, key := range keys {
			table.add(key)
		}
		must(t, table.print())
		for line := range strings.Lines(text.String()) {
			if got := columnsOf(strings.TrimSuffix(line, "\n")); got > max(columns, 29) { // the narrowest table still identifies a key
				t.Errorf("%d columns where there are %d: %s", got, columns, line)
			}
		}
		if columns >= 120 && !strings.Contains(text.String(), "ak_0TTLJ726                    customer-42 ") {
			t.Errorf("in %d columns a key is not recognised:\n%s", columns, text.String())
		}
	}
	var text strings.Builder
	table := keyTable{out: &text, columns: 80, color: true, now: now}
	table.add(keys[0])
	must(t, table.print())
	want := "PREFIX       OWNER        NAME  STATUS  EXPIRES  LAST USED  SCOPES\n" +
		"ak_0TTLJ726  customer-42  ci    \x1b[32mACTIVE\x1b[0m  in 30d   never      datasets:read\n"
	if text.String() != want {
		t.Errorf("\n%s, want\n%s", text.String(), want)
	}
}
