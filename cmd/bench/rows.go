package main

import (
	"fmt"
	"strconv"
)

// row is an operation under load, one row of the report.
type row struct {
	name    string // for --rows
	title   func(keys int) string
	path    string
	script  string
	caller  string // the name of the calling key
	secrets int    // for verify: the largest number of keys to choose from; 0 means all
	misses  bool   // needs many more keys than the cache holds
	expect  []string
	writes  bool // is compared with the disk, and changes the database
}

// fewKeys is the number of keys that the row "verify-many" chooses from: the default size of the cache.
const fewKeys = 100_000

// rows are in the order of the report. The one that creates keys comes last.
var rows = []row{
	{
		name: "forward-auth", title: titled("forward-auth"),
		path: "/v1/forward-auth?scope=datasets:read", script: "get", caller: "reader",
		expect: []string{"header=X-Api-Key-Id"},
	},
	{
		name: "verify-one", title: titled("verify, one key"),
		path: "/v1/verify", script: "verify", caller: "verifier", secrets: 1,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "verify-many",
		title: func(keys int) string {
			return fmt.Sprintf("verify, %s keys at random", thousands(min(keys, fewKeys)))
		},
		path: "/v1/verify", script: "verify", caller: "verifier", secrets: fewKeys,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "verify-miss", title: titled("verify, key not in the cache"),
		path: "/v1/verify", script: "verify", caller: "verifier", misses: true,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "get", title: titled("get one"),
		path: "/v1/api-keys/" + keyName(1), script: "get", caller: "reader",
		expect: []string{`expect="name":"` + keyName(1) + `"`},
	},
	{
		name: "list", title: titled("list of 20, one owner's"),
		path: "/v1/api-keys", script: "get", caller: "reader",
		expect: []string{`expect="items_per_page":20`},
	},
	{
		name: "list-all", title: titled("list of 20, everybody's"),
		path: "/v1/api-keys", script: "get", caller: "admin",
		expect: []string{`expect="items_per_page":20`},
	},
	{
		name: "create", title: titled("create, durable"),
		path: "/v1/api-keys", script: "create", caller: "creator", writes: true,
		expect: []string{`expect="secret":"`},
	},
}

func titled(title string) func(int) string { return func(int) string { return title } }

// load returns the row's load on a server. Names and random choices depend on its unique nonce.
func (r row) load(s seed, url string, connections, seconds, nonce int) load {
	options := []string{"caller=" + s.caller(r.caller), "seed=" + strconv.Itoa(nonce)}
	if r.script == "verify" {
		options = append(options, "secrets="+s.secrets(), "count="+strconv.Itoa(r.among(s)))
	}
	return load{url: url + r.path, script: r.script, options: options, connections: connections, seconds: seconds}
}

// among returns the number of keys that the row chooses from.
func (r row) among(s seed) int {
	if r.secrets == 0 {
		return s.keys
	}
	return min(r.secrets, s.keys)
}

// leftOut returns why a row cannot be measured with this number of keys, or nothing if it can.
func (r row) leftOut(keys, cache int) string {
	// With ten times the cache's size, nine in ten verifications miss.
	if r.misses && keys < 10*cache {
		return fmt.Sprintf("left out: %s keys are too few to miss a cache of %s", thousands(keys), thousands(cache))
	}
	return ""
}
