package gateways_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// page is docs/gateways.md: the configurations, and what the page documents about them.
type page struct {
	files map[string]string // the blocks with a file name, by it
	said  map[string]row    // the rows of the table, by their first word
}

// row is the table's row of one gateway.
type row struct {
	run                                    bool // by these tests
	limited, unavailable, stopped, hanging int  // the status for each
}

var (
	block  = regexp.MustCompile("(?ms)^```\\w+ (\\S+)\n(.*?)^```$")
	number = regexp.MustCompile(`\d+`)
)

func readPage(t *testing.T) page {
	t.Helper()
	text, err := os.ReadFile("../../../docs/gateways.md")
	must(t, err)
	p := page{files: map[string]string{}, said: map[string]row{}}
	for _, match := range block.FindAllStringSubmatch(string(text), -1) {
		if _, twice := p.files[match[1]]; twice {
			t.Fatalf("the page has %s twice", match[1])
		}
		p.files[match[1]] = match[2]
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 9 || !number.MatchString(cells[3]) {
			continue
		}
		p.said[strings.Fields(cells[1])[0]] = row{
			run:         strings.TrimSpace(cells[2]) == "yes",
			limited:     status(t, cells[3]),
			unavailable: status(t, cells[5]),
			stopped:     status(t, cells[6]),
			hanging:     status(t, cells[7]),
		}
	}
	return p
}

func status(t *testing.T, cell string) int {
	t.Helper()
	code, err := strconv.Atoi(number.FindString(cell))
	must(t, err)
	return code
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
