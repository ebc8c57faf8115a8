package handlers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

// set puts one property into an otherwise valid body.
func set(property, value string) string { return `{"` + property + `":` + value + `}` }

func entries(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprint("entry ", i)] = "v"
	}
	return m
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "target", "metadata": fields{"plan": "pro"}})
	before := k.everything()
	secret := apikey.NewSecret("acme_live", apikey.NewID()).Reveal()
	k.secrets.add(secret)
	const limit, window = "rate_limit.limit", "rate_limit.window_seconds"
	rate := func(calls, seconds string) string {
		return set("rate_limit", `{"limit":`+calls+`,"window_seconds":`+seconds+`}`)
	}
	metadata := func(m map[string]string) string { return fields{"metadata": m}.json() }
	for _, tt := range []badBody{
		{"metadata is null", set("metadata", `null`), "metadata"},
		{"metadata is an array", set("metadata", `[]`), "metadata"},
		{"metadata is text", set("metadata", `"plan=pro"`), "metadata"},
		{"metadata is a number", set("metadata", `1`), "metadata"},
		{"metadata is false", set("metadata", `false`), "metadata"},
		{"a value is null", set("metadata", `{"plan":null}`), "metadata.plan"},
		{"a value is a number", set("metadata", `{"seats":7}`), "metadata.seats"},
		{"a value is true", set("metadata", `{"a":"b","trial":true}`), "metadata.trial"},
		{"a value is an object", set("metadata", `{"plan":{"a":"b"}}`), "metadata.plan"},
		{"a value is an array", set("metadata", `{"plan":["pro"]}`), "metadata.plan"},
		{"a name twice", set("metadata", `{"a":"1","a":"2"}`), "body"},
		{"a name twice, in disguise", set("metadata", `{"a":"1","\u0061":"2"}`), "body"},
		{"21 entries", metadata(entries(21)), "metadata"},
		{"400 entries", metadata(entries(400)), "metadata"},
		{"thousands of entries", metadata(entries(3000)), "body"},
		{"a name of no characters", metadata(map[string]string{"": "v"}), "metadata"},
		{"a name of 41 characters", metadata(map[string]string{strings.Repeat("я", 41): "v"}), "metadata"},
		{"a line break in a name", metadata(map[string]string{"a\nb": "v"}), "metadata"},
		{"NUL in a name", metadata(map[string]string{"\x00": "v"}), "metadata"},
		{"a C1 control in a name", metadata(map[string]string{"a\u0085": "v"}), "metadata"},
		{"a value of 501 characters", metadata(map[string]string{"n": strings.Repeat("🔑", 501)}), "metadata.n"},
		{"a value of 60 KB", metadata(map[string]string{"n": strings.Repeat("v", 60000)}), "metadata.n"},
		{"a secret as value", metadata(map[string]string{"n": secret}), "metadata"},
		{"a secret among words", metadata(map[string]string{"n": "it is " + secret + "!"}), "metadata"},
		{"a secret as name", metadata(map[string]string{secret: "v"}), "metadata"},
		{"invalid UTF-8 in a value", set("metadata", `{"a":"`+"\xff"+`"}`), "body"},
		{"a lone surrogate in a value", set("metadata", `{"a":"\ud800"}`), "body"},
		{"wrong-case metadata", set("Metadata", `{}`), "Metadata"},

		{"rate_limit is a number", set("rate_limit", `100`), "rate_limit"},
		{"rate_limit is text", set("rate_limit", `"100/60"`), "rate_limit"},
		{"rate_limit is an array", set("rate_limit", `[100,60]`), "rate_limit"},
		{"rate_limit is false", set("rate_limit", `false`), "rate_limit"},
		{"rate_limit without limit", set("rate_limit", `{"window_seconds":60}`), limit},
		{"rate_limit without window", set("rate_limit", `{"limit":100}`), window},
		{"rate_limit without either", set("rate_limit", `{}`), limit},
		{"rate_limit with more", set("rate_limit", `{"limit":1,"window_seconds":1,"burst":5}`), "rate_limit.burst"},
		{"rate_limit in wrong case", set("rate_limit", `{"Limit":1,"window_seconds":1}`), "rate_limit.Limit"},
		{"rate_limit of another shape", set("rate_limit", `{"requests":1,"per":"minute"}`), "rate_limit.requests"},
		{"a limit of 0", rate("0", "60"), limit},
		{"a limit below 0", rate("-1", "60"), limit},
		{"a limit over a million", rate("1000001", "60"), limit},
		{"a huge limit", rate("1e300", "60"), limit},
		{"half a call", rate("0.5", "60"), limit},
		{"a limit and a half", rate("1.5", "60"), limit},
		{"a limit as text", rate(`"1"`, "60"), limit},
		{"a limit that is null", rate("null", "60"), limit},
		{"a limit twice", set("rate_limit", `{"limit":1,"limit":2,"window_seconds":60}`), "body"},
		{"a window of 0", rate("1", "0"), window},
		{"a window below 0", rate("1", "-60"), window},
		{"a window over a day", rate("1", "86401"), window},
		{"half a second", rate("1", "0.5"), window},
		{"a window as text", rate("1", `"60s"`), window},
		{"a window that is null", rate("1", "null"), window},
		{"a window that wraps to a second", rate("1", "18446744074"), window},

		{"allowed_cidrs is text", set("allowed_cidrs", `"192.0.2.0/24"`), "allowed_cidrs"},
		{"allowed_cidrs is an object", set("allowed_cidrs", `{}`), "allowed_cidrs"},
		{"allowed_cidrs has a number", set("allowed_cidrs", `[1]`), "allowed_cidrs.0"},
		{"allowed_cidrs has null", set("allowed_cidrs", `["192.0.2.7",null]`), "allowed_cidrs.1"},
		{"allowed_cidrs has a name", set("allowed_cidrs", `["localhost"]`), "allowed_cidrs.0"},
		{"allowed_cidrs has an empty text", set("allowed_cidrs", `[""]`), "allowed_cidrs.0"},
		{"allowed_cidrs has a port", set("allowed_cidrs", `["192.0.2.7:80"]`), "allowed_cidrs"},
		{"allowed_cidrs has a zone", set("allowed_cidrs", `["fe80::1%eth0"]`), "allowed_cidrs.0"},
		{"allowed_cidrs has a long text", set("allowed_cidrs", `["`+strings.Repeat("1", 50)+`"]`), "allowed_cidrs.0"},
		{"allowed_cidrs has an impossible length", set("allowed_cidrs", `["192.0.2.0/33"]`), "allowed_cidrs"},
		{"allowed_cidrs has host bits", set("allowed_cidrs", `["192.0.2.7/24"]`), "allowed_cidrs"},
		{"allowed_cidrs has one twice", set("allowed_cidrs", `["192.0.2.7","192.0.2.7/32"]`), "allowed_cidrs"},
		{"allowed_cidrs has 33", set("allowed_cidrs", `["`+strings.TrimSuffix(repeated(`10.%d.0.0/16","`, 33), `","`)+`"]`), "allowed_cidrs"},
		{"observe_cidrs has host bits", set("observe_cidrs", `["2001:db8::7/64"]`), "observe_cidrs"},
		{"quota is a number", set("quota", `100`), "quota"},
		{"quota without limit", set("quota", `{"period":"day"}`), "quota.limit"},
		{"quota without period", set("quota", `{"limit":1}`), "quota.period"},
		{"quota with more", set("quota", `{"limit":1,"period":"day","burst":1}`), "quota.burst"},
		{"a quota of 0", set("quota", `{"limit":0,"period":"day"}`), "quota.limit"},
		{"a quota over a million million", set("quota", `{"limit":1000000000001,"period":"day"}`), "quota.limit"},
		{"half a unit", set("quota", `{"limit":0.5,"period":"day"}`), "quota.limit"},
		{"a yearly quota", set("quota", `{"limit":1,"period":"year"}`), "quota.period"},
		{"a period in capitals", set("quota", `{"limit":1,"period":"DAY"}`), "quota.period"},
		{"a day that does not start a day", set("quota", `{"limit":1,"period":"day","starts_on":2}`), "quota.starts_on"},
		{"an eighth day of a week", set("quota", `{"limit":1,"period":"week","starts_on":8}`), "quota.starts_on"},
		{"a 32nd of a month", set("quota", `{"limit":1,"period":"month","starts_on":32}`), "quota.starts_on"},
		{"a zeroth of a month", set("quota", `{"limit":1,"period":"month","starts_on":0}`), "quota.starts_on"},
		{"starts_on is null", set("quota", `{"limit":1,"period":"month","starts_on":null}`), "quota.starts_on"},
	} {
		k.Run(tt.name, func(k *kit) {
			k.do(request{method: "POST", path: keysPath, key: k.admin.Secret,
				body: `{"name":"n",` + goodEnd + `,` + tt.body[1:]}).invalid(tt.field)
			k.do(request{method: "PATCH", path: keyPath("target"), key: k.admin.Secret, body: tt.body}).invalid(tt.field)
		})
	}
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "target"})
	full := map[string]string{}
	for i := range 20 {
		full[fmt.Sprintf("%02d", i)+strings.Repeat("n", 38)] = strings.Repeat("v", 500)
	}
	for name, metadata := range map[string]map[string]string{
		"none": {}, "one": {"plan": "pro"}, "as much as may": full, "an empty value": {"plan": ""},
		"names of all sorts":  {"a.b": "1", "a[0]": "2", "ключ": "3", "é": "4", "e\u0301": "5", `"`: "6", " ": "7", "__proto__": "8", "a/b%": "9"},
		"values of all sorts": {"a": "\x00\r\n\t\x1b", "b": "<&>'\"\\", "c": "\u2028\ufeff", "d": `{"e":null}`, "e": strings.Repeat("🔑", 500)},
		"no secret, though":   {"note": "ak_ is how a key begins"},
	} {
		k.Run(name, func(k *kit) {
			post := request{method: "POST", path: keysPath, key: k.admin.Secret,
				body: fields{"name": name, "expires_at": k.in(time.Hour), "metadata": metadata}.json()}
			patch := request{method: "PATCH", path: keyPath("target"), key: k.admin.Secret,
				body: fields{"metadata": metadata}.json()}
			created := k.do(post).want(201).key()
			read := request{path: keyPath(created.ID), key: k.admin.Secret}
			asked := request{method: "POST", path: verifyPath, key: k.admin.Secret, body: fields{"key": created.Secret}.json()}
			for _, got := range []key{created, k.do(patch).want(200).key(), k.do(read).want(200).key(),
				*decode[verdict](k.do(asked).want(200)).Key} {
				// Strict: no metadata is an empty object, not null.
				if diff := cmp.Diff(metadata, got.Metadata); diff != "" {
					k.Errorf("the metadata differs (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestSettingsChange(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n", "metadata": fields{"plan": "pro", "seats": "7"}})
	writer := k.add("admin", "writer", "keys:read", "keys:write")
	for _, tt := range []struct {
		name   string
		by     key
		change string
		want   func(*key)
	}{
		{"nothing", writer, `{}`, func(*key) {}},
		{"metadata is replaced, not merged", writer, `{"metadata":{"plan":"free"}}`, func(k *key) { k.Metadata = map[string]string{"plan": "free"} }},
		{"something else", writer, `{"name":"m"}`, func(k *key) { k.Name = "m" }},
		{"no metadata", writer, `{"metadata":{}}`, func(k *key) { k.Metadata = map[string]string{} }},
		{"a limit", k.admin, `{"rate_limit":{"limit":1,"window_seconds":86400}}`, func(k *key) { k.RateLimit = &rate{1, 86400} }},
		{"another limit", k.admin, `{"rate_limit":{"limit":1000000,"window_seconds":1}}`, func(k *key) { k.RateLimit = &rate{1000000, 1} }},
		{"numbers with a point", k.admin, `{"rate_limit":{"limit":2.0,"window_seconds":6e1}}`, func(k *key) { k.RateLimit = &rate{2, 60} }},
		{"the same limit, by who may not set one", writer, `{"rate_limit":{"limit":2,"window_seconds":60}}`, func(*key) {}},
		{"metadata beside the limit that is there", writer, `{"metadata":{"a":"b"},"rate_limit":{"limit":2,"window_seconds":60}}`,
			func(k *key) { k.Metadata = map[string]string{"a": "b"} }},
		{"no limit", k.admin, `{"rate_limit":null}`, func(k *key) { k.RateLimit = nil }},
		{"no limit again, by who may not set one", writer, `{"rate_limit":null}`, func(*key) {}},
	} {
		k.Run(tt.name, func(k *kit) {
			want := k.get(k.admin, keyPath(made.ID)).want(200).key()
			tt.want(&want)
			answer := k.do(request{method: "PATCH", path: keyPath(made.ID), key: tt.by.Secret, body: tt.change}).want(200)
			for _, got := range []key{answer.key(), k.get(writer, keyPath(made.ID)).want(200).key()} {
				if diff := cmp.Diff(want, got); diff != "" {
					k.Errorf("the key differs (-want +got):\n%s", diff)
				}
			}
			if want.RateLimit == nil && strings.Contains(string(answer.raw), "rate_limit") {
				k.Errorf("no rate limit is not absent: %s", answer.raw)
			}
		})
	}
	k.revoke(k.admin, keyPath(made.ID)).want(200)
	k.patch(k.admin, keyPath(made.ID), fields{"metadata": fields{}}).refused(409, "KEY_REVOKED")
	k.patch(k.admin, keyPath(made.ID), fields{"rate_limit": nil}).refused(409, "KEY_REVOKED")
}

// A limited key cannot remove its limit or set one on others, and the keys that it creates have it.
func TestRateLimitsAreForAdmins(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const left = "left out"
	own, other := fields{"limit": 5, "window_seconds": 60}, fields{"limit": 6, "window_seconds": 60}
	limited := k.mustCreate(k.admin, fields{"name": "limited", "owner": "limited",
		"scopes": []string{"keys:read", "keys:write"}, "rate_limit": own})
	free := k.add("free", "free", "keys:read", "keys:write")
	admin := k.mustCreate(k.admin, fields{"name": "limited admin", "scopes": []string{"keys:admin"}, "rate_limit": own})
	for _, tt := range []struct {
		name    string
		by      key
		setting any
		want    *rate // of the new key
		refused bool
	}{
		{"left out, by one who has a limit", limited, left, &rate{5, 60}, false},
		{"its own limit, said", limited, own, &rate{5, 60}, false},
		{"none, by one who has a limit", limited, nil, nil, true},
		{"another limit", limited, other, nil, true},
		{"a narrower limit", limited, fields{"limit": 1, "window_seconds": 60}, nil, true},
		{"as often in a longer window", limited, fields{"limit": 10, "window_seconds": 120}, nil, true},
		{"left out, by one without", free, left, nil, false},
		{"none, by one without", free, nil, nil, false},
		{"a limit, by one without", free, own, nil, true},
		{"left out, by an admin with a limit", admin, left, &rate{5, 60}, false},
		{"none, by an admin with a limit", admin, nil, nil, false},
		{"another limit, by an admin with a limit", admin, other, &rate{6, 60}, false},
		{"a limit, by an admin without", k.admin, own, &rate{5, 60}, false},
	} {
		k.Run(tt.name, func(k *kit) {
			body, change := fields{"name": tt.name}, fields{}
			if tt.setting != left {
				body["rate_limit"], change["rate_limit"] = tt.setting, tt.setting
			}
			answer := k.create(tt.by, body)
			if !tt.refused {
				made := answer.want(201).key()
				if diff := cmp.Diff(tt.want, made.RateLimit); diff != "" {
					k.Errorf("the limit differs (-want +got):\n%s", diff)
				}
				// It may state the current limit.
				k.patch(tt.by, keyPath(made.ID), change).want(200)
				return
			}
			before := k.everything()
			if f := answer.refused(403, "FORBIDDEN"); !strings.Contains(f.Message, "rate_limit") {
				k.Errorf("the refusal does not say why: %s", f.Message)
			}
			k.patch(tt.by, keyPath(tt.by.ID), change).refused(403, "FORBIDDEN")
			if diff := cmp.Diff(before, k.everything()); diff != "" {
				k.Errorf("a refused request changed something (-before +after):\n%s", diff)
			}
		})
	}
	// A grandchild has it as well.
	child := k.mustCreate(limited, fields{"name": "child"})
	if got := k.mustCreate(child, fields{"name": "grandchild"}).RateLimit; got == nil || *got != (rate{5, 60}) {
		k.Errorf("a grandchild has the limit %v", got)
	}
}
