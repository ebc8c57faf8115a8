package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"apikeyd/verify"
)

// verifier tells what a Verifier counts of itself.
type verifier struct{ v *verify.Verifier }

func newVerifier(v *verify.Verifier) prometheus.Collector { return verifier{v} }

var (
	cacheHits = describe("apikeyd_verify_cache_hits_total",
		"Decisions about a secret that was remembered, good or refused.")
	cacheMisses = describe("apikeyd_verify_cache_misses_total",
		"Decisions for which the database was asked.")
	cacheEvictions = describe("apikeyd_verify_cache_evictions_total",
		"Keys and refused secrets that were forgotten to make room for others.")
	cacheEntries = describe("apikeyd_verify_cache_entries",
		"What is remembered now: keys, and secrets that are no key's.", "kind")
	cacheTrusted = describe("apikeyd_verify_cache_trusted",
		"1 while what is remembered counts; 0 while the database cannot be looked at.")
	limitedKeys = describe("apikeyd_rate_limited_keys",
		"Keys whose rate limit is being counted now.")
	lastUsePending = describe("apikeyd_last_use_pending",
		"Keys with a last use that is not in the database yet.")
	lastUseLag = describe("apikeyd_last_use_lag_seconds",
		"How long ago the first of these uses was.")
	lastUseFailures = describe("apikeyd_last_use_write_failures_total",
		"Attempts to write last uses that failed; they are made again.")
)

// Describe implements prometheus.Collector.
func (v verifier) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(v, to) }

// Collect implements prometheus.Collector.
func (v verifier) Collect(to chan<- prometheus.Metric) {
	s := v.v.Keys.Stats()
	trusted := 0
	if s.Trusted {
		trusted = 1
	}
	to <- counter(cacheHits, s.Hits)
	to <- counter(cacheMisses, s.Misses)
	to <- counter(cacheEvictions, s.Evicted)
	to <- gauge(cacheEntries, s.Keys, "key")
	to <- gauge(cacheEntries, s.Refused, "refused")
	to <- gauge(cacheTrusted, trusted)
	to <- gauge(limitedKeys, v.v.Limited())
	to <- gauge(lastUsePending, s.UnsavedUses)
	to <- gauge(lastUseLag, s.UsesLag.Seconds())
	to <- counter(lastUseFailures, s.FailedWrites)
}
