package conformance

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// The elements of JUnit's XML that continuous integration servers read.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Seconds  string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Group   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Seconds string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the report as JUnit XML.
func (r Report) WriteJUnit(w io.Writer) error {
	suite := junitSuite{
		Name:     "apikeyd conformance of " + r.URL,
		Tests:    len(r.Results),
		Failures: r.Count(Failed),
		Skipped:  r.Count(Skipped) + r.Count(Expected),
		Seconds:  seconds(r.Took),
	}
	for _, result := range r.Results {
		name := strings.TrimPrefix(result.Name, result.Group+"/") + ": " + result.Check
		c := junitCase{Group: "conformance." + result.Group, Name: name, Seconds: seconds(result.Took)}
		message := &junitMessage{Message: result.firstFinding(), Text: strings.Join(result.Findings, "\n")}
		switch result.Outcome {
		case Failed:
			c.Failure = message
		case Expected:
			message.Message = "expected: " + message.Message
			c.Skipped = message
		case Skipped:
			c.Skipped = message
		case Passed:
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(junitSuites{Suites: []junitSuite{suite}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// firstFinding returns the first finding, and how many more there are.
func (r Result) firstFinding() string {
	switch len(r.Findings) {
	case 0:
		return ""
	case 1:
		return r.Findings[0]
	}
	return fmt.Sprintf("%s (and %d more)", r.Findings[0], len(r.Findings)-1)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// Printer prints the results of a run as they come.
type Printer struct {
	out    io.Writer
	colour bool
	group  string
}

// NewPrinter returns a Printer; colour is for terminals.
func NewPrinter(out io.Writer, colour bool) *Printer { return &Printer{out: out, colour: colour} }

// Terminal colours (ECMA-48, SGR).
const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

// Print prints one result.
func (p *Printer) Print(r Result) {
	if r.Group != p.group {
		p.group = r.Group
		fmt.Fprintln(p.out, r.Group)
	}
	mark := map[Outcome]string{
		Passed: p.paint(green, "ok   "), Failed: p.paint(red, "FAIL "),
		Expected: p.paint(yellow, "xfail"), Skipped: p.paint(yellow, "skip "),
	}[r.Outcome]
	fmt.Fprintf(p.out, "  %s  %s", mark, r.Check)
	if r.Outcome != Passed {
		fmt.Fprintf(p.out, "  [%s]", r.Name)
	}
	fmt.Fprintln(p.out)
	for _, finding := range r.Findings {
		fmt.Fprintf(p.out, "           %s\n", finding)
	}
}

// Summarize prints a summary of the run.
func (p *Printer) Summarize(r Report) {
	colour, verdict := green, "conforms"
	switch {
	case r.Count(Failed) > 0:
		colour, verdict = red, "does not conform"
	case r.Count(Expected) > 0:
		colour, verdict = yellow, "conforms except as expected"
	}
	fmt.Fprintf(p.out, "\n%s %s: %d checks, %d passed, %d failed, %d failed as expected, %d skipped; %d exchanges in %s\n",
		r.URL, p.paint(colour, verdict), len(r.Results), r.Count(Passed), r.Count(Failed), r.Count(Expected),
		r.Count(Skipped), r.Exchanges(), r.Took.Round(time.Millisecond))
}

func (p *Printer) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return colour + text + plain
}
