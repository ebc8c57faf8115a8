package main

import (
	"fmt"
	"strconv"
)

// engines are what can be measured, in the order of the report: apikeyd on each database, and what people would write
// instead of it.
var engines = []string{sqlite, plain, postgres}

const (
	sqlite   = "sqlite"
	plain    = "plain"
	postgres = "postgres"
)

// row is an operation under load, one row of the report.
type row struct {
	name    string // for --rows
	engine  string
	title   func(keys int) string
	path    string
	script  string
	caller  string // the name of the calling key
	secrets int    // for verify: the largest number of keys to choose from; 0 means all
	misses  bool   // is served with a cache of a tenth of the keys
	maps    bool   // is served by the plain service with a map
	expect  []string
	writes  bool // is compared with what writes the same without a service, and changes the database
}

// fewKeys is the number of keys that the row "verify-many" chooses from: the default size of the cache.
const fewKeys = 100_000

// rows are in the order of the report. Of each engine, the one that creates keys comes last.
var rows = []row{
	{
		name: "forward-auth", engine: sqlite, title: titled("forward-auth"),
		path: "/v1/forward-auth?scope=datasets:read", script: "get", caller: "reader",
		expect: []string{"header=X-Api-Key-Id"},
	},
	{
		name: "verify-one", engine: sqlite, title: titled("verify, one key"),
		path: "/v1/verify", script: "verify", caller: "verifier", secrets: 1,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "verify-many", engine: sqlite,
		title: func(keys int) string {
			return fmt.Sprintf("verify, %s keys at random", thousands(min(keys, fewKeys)))
		},
		path: "/v1/verify", script: "verify", caller: "verifier", secrets: fewKeys,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "verify-miss", engine: sqlite, title: titled("verify, key not in the cache"),
		path: "/v1/verify", script: "verify", caller: "verifier", misses: true,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "get", engine: sqlite, title: titled("get one"),
		path: "/v1/api-keys/" + keyName(1), script: "get", caller: "reader",
		expect: []string{`expect="name":"` + keyName(1) + `"`},
	},
	{
		name: "list", engine: sqlite, title: titled("list of 20, one owner's"),
		path: "/v1/api-keys", script: "get", caller: "reader",
		expect: []string{`expect="items_per_page":20`},
	},
	{
		name: "list-all", engine: sqlite, title: titled("list of 20, everybody's"),
		path: "/v1/api-keys", script: "get", caller: "admin",
		expect: []string{`expect="items_per_page":20`},
	},
	{
		name: "create", engine: sqlite, title: titled("create, durable"),
		path: "/v1/api-keys", script: "create", caller: "creator", writes: true,
		expect: []string{`expect="secret":"`},
	},
	{
		name: "plain-map", engine: plain, title: titled("plain service with a map: verify, one key"),
		path: "/v1/verify", script: "verify", caller: "verifier", secrets: 1, maps: true,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "plain-map-many", engine: plain,
		title: func(keys int) string {
			return fmt.Sprintf("plain service with a map: verify, %s keys at random", thousands(min(keys, fewKeys)))
		},
		path: "/v1/verify", script: "verify", caller: "verifier", secrets: fewKeys, maps: true,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "plain", engine: plain, title: titled("plain service: verify, any key"),
		path: "/v1/verify", script: "verify", caller: "verifier",
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "postgres-verify-one", engine: postgres, title: titled("PostgreSQL: verify, one key"),
		path: "/v1/verify", script: "verify", caller: "verifier", secrets: 1,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "postgres-verify-miss", engine: postgres, title: titled("PostgreSQL: verify, key not in the cache"),
		path: "/v1/verify", script: "verify", caller: "verifier", misses: true,
		expect: []string{`expect="code":"VALID"`},
	},
	{
		name: "postgres-create", engine: postgres, title: titled("PostgreSQL: create, durable"),
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
		return s.known()
	}
	return min(r.secrets, s.known())
}

// fills reports whether all keys of the row must be used once before it is measured.
func (r row) fills() bool { return r.script == "verify" && !r.misses && r.secrets > 0 }

// cache is how many keys the service may keep in memory for the row: so few that nine in ten verifications miss, or
// the default.
func (r row) cache(keys int) int {
	if r.misses {
		return max(1, min(fewKeys, keys/10))
	}
	return fewKeys
}
