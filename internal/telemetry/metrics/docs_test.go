package metrics_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// family is a metric in a scrape.
type family struct {
	kind, help string
	labels     []string
}

// families returns the metrics of a service after every kind of event.
func (k *kit) families() map[string]*family {
	k.t.Helper()
	k.everything()
	text, series := k.scrape()
	all := make(map[string]*family)
	of := func(name string) *family {
		if all[name] == nil {
			all[name] = &family{}
		}
		return all[name]
	}
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(words) == 4 && words[1] == "HELP" {
			of(words[2]).help = words[3]
		} else if len(words) == 4 && words[1] == "TYPE" {
			of(words[2]).kind = words[3]
		}
	}
	label := regexp.MustCompile(`(\w+)="`)
	for name := range series {
		name, labels, _ := strings.Cut(name, "{")
		f := all[name]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if f == nil {
				f = all[strings.TrimSuffix(name, suffix)]
			}
		}
		for _, found := range label.FindAllStringSubmatch(labels, -1) {
			if l := found[1]; l != "le" && !slices.Contains(f.labels, l) {
				f.labels = append(f.labels, l)
			}
		}
	}
	return all
}

// docs/observability.md has a row for each of apikeyd's metrics, as in a scrape.
func TestEveryMetricIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for name, f := range newKit(t).families() {
		if strings.HasPrefix(name, "apikeyd_") {
			slices.Sort(f.labels)
			want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", name, f.kind, strings.Join(f.labels, ", "), f.help))
		}
	}
	slices.Sort(want)
	var got []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `apikeyd_") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the table of docs/observability.md is not what a scrape says. It must be:\n%s", strings.Join(want, "\n"))
	}
}

var metricName = regexp.MustCompile(`\b(?:apikeyd|go|process)_[a-z0-9_]+`)

// unknown returns the metric names in an expression that scrapes lack.
func unknown(expression string, all map[string]*family) (names []string) {
	for _, name := range metricName.FindAllString(expression, -1) {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if cut := strings.TrimSuffix(name, suffix); all[cut] != nil && all[cut].kind == "histogram" {
				base = cut
			}
		}
		if all[base] == nil {
			names = append(names, name)
		}
	}
	return names
}

// The dashboard and the alerts use only metrics that scrapes have.
func TestDashboardAndAlerts(t *testing.T) {
	t.Parallel()
	all := newKit(t).families()
	expressions := append(dashboard(t), alerts(t)...)
	if len(expressions) < 30 {
		t.Errorf("there are only %d expressions: were all found?", len(expressions))
	}
	for _, expression := range expressions {
		if names := unknown(expression, all); names != nil {
			t.Errorf("%s: no scrape has %s", expression, names)
		}
		if !metricName.MatchString(expression) {
			t.Errorf("%s asks for no metric", expression)
		}
	}
	if unknown(`rate(apikeyd_no_such_thing_total[5m])`, all) == nil {
		t.Error("a name that is none is not found")
	}
}

func dashboard(t *testing.T) (expressions []string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Type, Title, Description string
			Targets                  []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if p.Type != "row" && (len(p.Targets) == 0 || p.Title == "") {
			t.Errorf("the panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	return expressions
}

func alerts(t *testing.T) (expressions []string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary, Description string }
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Annotations.Summary == "" || r.Annotations.Description == "" {
				t.Errorf("the rule %q does not say what it is about, or what to do", r.Alert)
			}
			expressions = append(expressions, r.Expr)
		}
	}
	return expressions
}
