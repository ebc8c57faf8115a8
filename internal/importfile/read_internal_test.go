package importfile

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readAll returns the rows of a file, and the error that ended them.
func readAll(text string) (all []record, err error) {
	rows, err := Read(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	for row, err := range rows.all() {
		if err != nil {
			return all, err
		}
		all = append(all, row)
	}
	return all, nil
}

func TestRead(t *testing.T) {
	t.Parallel()
	one, two := record{"name": "a"}, record{"name": "b"}
	for name, tt := range map[string]struct {
		file string
		want []record
	}{
		"CSV":                             {"name,owner\na,x\n", []record{{"name": "a", "owner": "x"}}},
		"CSV with CRLF and spaces":        {"\r\n name , owner \r\na,x\r\n", []record{{"name": "a", "owner": "x"}}},
		"CSV without a last line break":   {"name\na\nb", []record{one, two}},
		"CSV with a mark at the start":    {"\ufeffname\na\n", []record{one}},
		"CSV with empty cells":            {"name,owner,x\n,,\na,,\n", []record{{}, one}},
		"CSV with quotes":                 {"name,owner\n\"a,\nb\",\"\"\"\"\n", []record{{"name": "a,\nb", "owner": `"`}}},
		"CSV without rows":                {"name\n", nil},
		"JSON Lines":                      {"{\"name\":\"a\"}\n\n{\"name\":\"b\"}\n", []record{one, two}},
		"JSON without line breaks":        {`{"name":"a"}{"name":"b"}`, []record{one, two}},
		"JSON with a mark and spaces":     {"\ufeff \r\n\t{\"name\":\"a\"}", []record{one}},
		"an array":                        {` [{"name":"a"}, {"name":"b"}]`, []record{one, two}},
		"an array without rows":           {"[]", nil},
		"an answer with data":             {`{"meta":{},"data":[{"name":"a"},{"name":"b"}]}`, []record{one, two}},
		"an answer with keys":             {`{"keys":[{"name":"a"}],"total":1}`, []record{one}},
		"answers, one after another":      {`{"keys":[{"name":"a"}]} {"keys":[]} {"keys":[{"name":"b"}]}`, []record{one, two}},
		"many answers without keys":       {strings.Repeat(`{"keys":[]}`, 100_000), nil},
		"a row of an array that has data": {`[{"name":"a","data":[1]}]`, []record{{"name": "a", "data": []any{json.Number("1")}}}},
		"data that is no array":           {`{"name":"a","data":"x"}`, []record{{"name": "a", "data": "x"}}},
		"what is no object":               {`{"data":[1,null,{"name":"a"}]}`, []record{nil, nil, one}},
		"null":                            {`[null]`, []record{nil}},
	} {
		got, err := readAll(tt.file)
		if err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, tt.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	for name, tt := range map[string]struct {
		file, want string
		rows       int // before the error
	}{
		"nothing":                    {"", "the file is empty", 0},
		"a mark and spaces":          {"\ufeff \r\n", "the file is empty", 0},
		"CSV with a cell too many":   {"name\na\n" + secret + "," + secret + "\n", "line 3 of the file is not valid CSV", 1},
		"CSV with a cell too few":    {"name,owner\n" + secret + "\n", "line 2 of the file is not valid CSV", 0},
		"CSV with an open quote":     {"name\n\"" + secret, "line 2 of the file is not valid CSV", 0},
		"CSV with a quote inside":    {"name\n" + secret + "\"x\n", "line 2 of the file is not valid CSV", 0},
		"CSV with a column twice":    {"name," + secret + ", " + secret + " \na,b,c\n", "columns 2 and 3 of the file have the same name", 0},
		"JSON that ends in a row":    {`{"name":"a"}{"secret":"` + secret, "the file is cut off", 1},
		"an array that ends early":   {`[{"name":"a"}`, "the file is cut off", 1},
		"an array that ends at once": {`[`, "the file is cut off", 0},
		"two arrays":                 {`[{"name":"a"}] [{"name":"b"}]`, "the file has more than one array", 1},
		"an array ends otherwise":    {`[{"name":"a"}}`, "the file is not valid JSON at byte", 1},
		"an array with a comma more": {`[{"name":"a"},]`, "the file is not valid JSON at byte", 1},
		"an array of other things":   {`["` + secret + `"]`, "the file has no JSON object at byte", 0},
		"JSON without quotes":        {`{secret:` + secret + `}`, "the file is not valid JSON at byte", 0},
		"other things between":       {`{"name":"a"}` + "\n" + secret, "the file is not valid JSON at byte", 1},
	} {
		got, err := readAll(tt.file)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) || len(got) != tt.rows {
			t.Errorf("%s: %d rows, %v, want %d and %q", name, len(got), err, tt.rows, tt.want)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	noon := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "2030-01-31T12:00:00Z": noon, "2030-01-31T14:00:00.000+02:00": noon, "2030-01-31 12:00:00+00": noon,
		"2030-01-31 14:00:00+02:00": noon, "2030-01-31T12:00:00": noon, "2030-01-31 12:00:00": noon,
		"1896091200": noon, "1896091200000": noon, "1896091200.5": noon.Add(500 * time.Millisecond), "1.8960912e9": noon,
		"253402300799999": time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
	} {
		if got, err := (record{"at": text}).time("at"); err != nil || !got.Equal(want) {
			t.Errorf("%q is %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"tomorrow", "2030-01-31", "2030-02-30T12:00:00Z", "infinity", "-Inf", "NaN", "1e300", "-1e300", "253402300800000"} {
		if got, err := (record{"at": text}).time("at"); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
