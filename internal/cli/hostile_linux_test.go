//go:build full && !race

package cli

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
	signertest "apikeyd/internal/testkit/signer"
)

// mostCost is how many good verifications a hostile request may cost.
const mostCost = 10

// hostileCase is one request that is meant to be expensive.
type hostileCase struct {
	name, method, path, media, body string
	header                          http.Header
}

// TestHostileRequests checks that no request from a stranger, or from a key that may only verify,
// costs the server more CPU time than ten good verifications: for every operation of the contract, and
// for every page that needs no key.
func TestHostileRequests(t *testing.T) {
	dir := t.TempDir()
	signer := signertest.New(t, "known")
	must(t, os.WriteFile(filepath.Join(dir, "keys.json"), signertest.List(t, signer), 0o600))
	s := serve(t, dir, "--auth-failures-per-minute", "0", "--secret-scanning-keys", "keys.json")
	verifier := s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(),
		strings.TrimSuffix(keyJSON("verifier"), "}")+`,"scopes":["keys:verify"]}`).Secret
	client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)

	cost := func(c hostileCase, secret string, requests int) time.Duration {
		before := s.processorTime()
		for range requests {
			s.sendHostile(client, c, secret)
		}
		return max(s.processorTime()-before, 1) / time.Duration(requests)
	}
	good := hostileCase{name: "a good verification", method: "POST", path: "/v1/verify", media: "application/json",
		body: fmt.Sprintf(`{"key":%q}`, verifier)}
	cases := hostileCases(t)
	forged := signer.Header(t, "another body")
	for _, c := range cases {
		if strings.HasPrefix(c.path, "/v1/secret-scanning/") && c.body != "" {
			all := http.Header{}
			maps.Copy(all, forged)
			maps.Copy(all, c.header)
			c.name, c.header = c.name+", forged", all
			cases = append(cases, c)
		}
	}
	for _, c := range append(slices.Repeat([]hostileCase{good}, 200), cases[:100]...) { // warms up
		s.sendHostile(client, c, verifier)
	}
	// The minimum of several measurements, each next to a good verification: other load on the machine
	// only adds.
	ratio := func(c hostileCase, secret string, least float64) float64 {
		for range 30 {
			took := cost(c, secret, 5)
			least = min(least, float64(took)/float64(cost(good, verifier, 20)))
			if least <= mostCost {
				break
			}
		}
		return least
	}

	unknown := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	type measurement struct {
		hostileCase
		who, secret string
		least       float64
	}
	var all []measurement
	for _, c := range cases {
		for who, secret := range map[string]string{"nobody": "", "a bad key": unknown, "a verifier": verifier} {
			all = append(all, measurement{c, who, secret, math.Inf(1)})
		}
	}
	var worst float64
	// Requests that seem too expensive are measured again at the end, when the machine may be less
	// busy.
	for pass := 0; pass < 5 && len(all) > 0; pass++ {
		var dear []measurement
		for _, m := range all {
			if m.least = ratio(m.hostileCase, m.secret, m.least); m.least > mostCost {
				dear = append(dear, m)
			}
			worst = max(worst, m.least)
		}
		all = dear
	}
	for _, m := range all {
		t.Errorf("%s %.40s by %s, %s: as much as %.1f good verifications", m.method, m.path, m.who, m.name, m.least)
	}
	t.Logf("the dearest hostile request seemed to cost as much as %.1f good verifications", worst)
}

func (s *server) sendHostile(client *http.Client, c hostileCase, secret string) {
	request, err := http.NewRequest(c.method, s.url+c.path, strings.NewReader(c.body))
	must(s.t, err)
	for name, values := range c.header {
		request.Header[name] = values
	}
	if secret != "" && request.Header.Get("X-Api-Key") == "" {
		request.Header.Set("X-Api-Key", secret)
	}
	if c.media != "" {
		request.Header.Set("Content-Type", c.media)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		return // it closed the connection before all of a too large request was sent
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		s.t.Errorf("%s %.40s, %s: status %d", c.method, c.path, c.name, response.StatusCode)
	}
}

// processorTime is the CPU time that all of the server's threads have used.
func (s *server) processorTime() time.Duration {
	s.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	must(s.t, err)
	var total time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(s.t, err)
		var nanoseconds int64
		_, err = fmt.Sscan(string(text), &nanoseconds)
		must(s.t, err)
		total += time.Duration(nanoseconds)
	}
	return total
}

// hostileCases are requests to everything reachable.
func hostileCases(t *testing.T) []hostileCase {
	t.Helper()
	spec, err := gen.GetSpec()
	must(t, err)
	var all []hostileCase
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			media := ""
			if operation.RequestBody != nil {
				for media = range operation.RequestBody.Value.Content {
				}
			}
			all = append(all, hostileTo(method, path, media)...)
		}
	}
	for _, path := range []string{
		"/healthz", "/readyz", "/docs", "/openapi.json", "/v1/forward-auth/more", "/", "/nothing/here",
		"/console", "/console/sign-in", "/console/keys", "/console/keys/new", "/console/keys/x", "/console/audit", "/console/try",
		"/console/assets/x", "/console/nothing",
	} {
		all = append(all, hostileTo("GET", path, "")...)
		all = append(all, hostileTo("POST", path, "application/x-www-form-urlencoded")...)
	}
	slices.SortFunc(all, func(a, b hostileCase) int {
		return strings.Compare(a.path+a.method+a.name, b.path+b.method+b.name)
	})
	return all
}

// filled repeats a text up to this size.
func filled(text string, size int) string { return strings.Repeat(text, size/len(text)) }

// numbered repeats a pattern with consecutive numbers up to this size.
func numbered(pattern string, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, pattern, i)
	}
	return b.String()
}

// hostileTo are the requests to one operation.
func hostileTo(method, path, media string) []hostileCase {
	const head, body, form = 28 << 10, 63 << 10, 300 << 10
	like := "ak_" + strings.Repeat("x", 60)
	with := func(name string, values ...string) http.Header { return http.Header{name: values} }
	named := strings.NewReplacer("{key_name}", "x", "{owner}", "x", "{id}", "x").Replace(path)
	var all []hostileCase
	add := func(c hostileCase) {
		if c.path == "" {
			c.path = named
		}
		c.method = method
		all = append(all, c)
	}
	for name, query := range map[string]string{
		"many parameters": numbered("a%d&", head), "one parameter often": filled("scope=a&", head),
		"many scopes": "scope=" + numbered("a%d+", head), "a long parameter": "return=/console/keys?" + filled("%2525", head),
		"long typed text": "typed=" + filled("a_"+like+"_", head), "long names": filled(like+"-&", head),
		"other scopes": numbered("scope=s%d&", head), "slips": filled("sCOPE%5B%5D=a&", head), "broken escapes": filled("%zz&", head),
		"long name": "name_contains=" + filled("x", head), "a long time": "since=" + filled("2", head),
	} {
		add(hostileCase{name: "query of " + name, path: named + "?" + query})
	}
	for name, header := range map[string]http.Header{
		"a long key": with("X-Api-Key", filled("a_", head)), "a long bearer": with("Authorization", "Bearer "+filled(like+"_", head)),
		"many keys":      with("X-Api-Key", slices.Repeat([]string{"ak_x"}, head/20)...),
		"long basic":     with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:"+filled("%41", head*3/4)))),
		"many cookies":   with("Cookie", filled("apikeyd=a; ", head)),
		"a long cookie":  with("Cookie", "apikeyd="+filled("A", head)),
		"many addresses": with("X-Forwarded-For", filled("192.0.2.1, ", head)),
		"many languages": with("Accept-Language", filled("a-b;q=0.1,", head)),
		"many types":     with("Accept", filled("text/html;q=0.1,", head)),
		"many ETags":     with("If-None-Match", filled(`"x", `, head)),
		"many encodings": with("Accept-Encoding", filled("gzip;q=0.1, ", head)),
		"many ranges":    with("Range", "bytes="+filled("0-1,", head)),
		"a long trace":   with("Tracestate", filled("a=b,", head)),
	} {
		add(hostileCase{name: "header of " + name, header: header})
	}
	if strings.Contains(path, "{") {
		for name, part := range map[string]string{
			"long": filled("x", head), "escaped": filled("%41", head), "like secrets": filled(like+"-", head), "slashes": filled("%2F", head),
		} {
			add(hostileCase{name: "path, " + name, path: strings.NewReplacer("{key_name}", part, "{owner}", part, "{id}", part).Replace(path)})
		}
	}
	bodies := map[string]string{}
	switch media {
	case "application/json":
		bodies = map[string]string{
			"empty objects":         "{" + strings.TrimSuffix(numbered(`"a%d":{},`, body-10), ",") + "}",
			"few names":             "{" + strings.TrimSuffix(numbered(`"a%d":{},`, 6000), ",") + "}",
			"objects as scopes":     `{"key":"x","scopes":[` + strings.TrimSuffix(filled("{},", body-40), ",") + "]}",
			"few objects as scopes": `{"key":"x","scopes":[` + strings.TrimSuffix(filled("{},", 900), ",") + "]}",
			"many scopes":           `{"key":"x","scopes":[` + strings.TrimSuffix(numbered(`"%d",`, body-40), ",") + "]}",
			"one scope often":       `{"key":"x","scopes":[` + strings.TrimSuffix(filled(`"a",`, 1800), ",") + "]}",
			"64 long bad scopes":    `{"key":"x","scopes":[` + strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("é", 490)+`",`, 64), ",") + "]}",
			"metadata":              `{"metadata":{` + strings.TrimSuffix(numbered(`"a%d":"",`, body-40), ",") + "}}",
			"few metadata":          `{"metadata":{` + strings.TrimSuffix(numbered(`"a%d":1,`, 4000), ",") + "}}",
			"long metadata":         `{"metadata":{` + strings.TrimSuffix(numbered(`"`+like+`-%d":"`+filled("x", 2800)+`",`, body-3000), ",") + "}}",
			"a long key":            `{"key":"` + filled("a_", body-20) + `"}`,
			"a key of escapes":      `{"key":"` + filled(`\u0041`, body-20) + `"}`,
			"a long name":           `{"name":"` + filled(like+"-", body-20) + `","expires_at":"` + filled("2", 300) + `"}`,
			"a long time":           `{"name":"x","expires_at":"` + filled("2", body-40) + `"}`,
			"a long unknown":        `{"` + filled(like+"-", body-20) + `":1}`,
			"long unknowns":         "{" + strings.TrimSuffix(numbered(`"%d-`+filled(like+"-", 120)+`":1,`, body-200), ",") + "}",
			"arrays":                filled("[", body), "objects": filled(`{"a":`, body), "commas": "[" + filled("1,", body-4) + "1]",
			"duplicates": "{" + filled(`"a":1,`, body-10) + `"a":1}`,
			"strings":    "[" + filled(`"",`, body-10) + `""]`,
			"numbers":    "[" + filled("1", body-10) + "]", "white space": filled(" ", body) + "{}",
			"too large": `{"key":"` + filled("a", 1<<20) + `"}`,
		}
	case "application/x-www-form-urlencoded":
		bodies = map[string]string{
			"fields": numbered("a%d&", body), "a long token": "token=" + filled("%41", body-10), "more fields": numbered("a%d=%%41&", form),
			"return": "secret=x&return=/console/keys?" + filled("%2525", form), "some return": "secret=x&return=/console/keys?" + filled("%2525", 90<<10),
			"typed": "secret=x&typed=" + filled("a_"+like+"_", form), "some typed": "secret=x&typed=" + filled("a_"+like+"_", 30<<10),
			"typed fields": "secret=x&typed=" + filled("a%3Db%26", form), "some typed fields": "secret=x&typed=" + filled("a%3Db%26", 30<<10),
			"few typed fields": "secret=x&typed=" + numbered("a%d%%3Db%%26", 5000),
			"a long secret":    "secret=" + filled("a_", 90<<10), "a secret of escapes": "secret=" + filled("%61_", 90<<10),
			"few fields": numbered("field%d="+filled("<", 50)+"&", 30<<10),
		}
	}
	for name, text := range bodies {
		add(hostileCase{name: "body of " + name, media: media, body: text})
	}
	if media != "" {
		small := hostileCase{name: "a long media type", body: "{}", header: with("Content-Type", media+filled(";a=b", head))}
		add(small)
		add(hostileCase{name: "an unusual media type", body: "{}", header: with("Content-Type", media+numbered(`;a%d="\x"`, head))})
	}
	return all
}
