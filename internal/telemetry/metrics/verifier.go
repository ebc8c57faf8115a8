package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"apikeyd/verify"
)

// verifier collects a Verifier's own statistics.
type verifier struct{ v *verify.Verifier }

func newVerifier(v *verify.Verifier) prometheus.Collector { return verifier{v} }

var (
	cacheHits = describe("apikeyd_verify_cache_hits_total",
		"Decisions about a cached secret, valid or refused.")
	cacheMisses = describe("apikeyd_verify_cache_misses_total",
		"Decisions that asked the database.")
	cacheEvictions = describe("apikeyd_verify_cache_evictions_total",
		"Keys and refused secrets evicted to make room for others.")
	cacheEntries = describe("apikeyd_verify_cache_entries",
		"Cache entries: keys, secrets that belong to no key, owners while one has settings, and foreign secrets.", "kind")
	cacheTrusted = describe("apikeyd_verify_cache_trusted",
		"1 while cache entries count; 0 while the database cannot be checked.")
	limitedKeys = describe("apikeyd_rate_limited_keys",
		"Keys and owners whose rate limit is in use.")
	quotaKeys = describe("apikeyd_quota_keys",
		"Keys and owners whose quota is in use.")
	outsideUses = describe("apikeyd_outside_uses_total",
		"Uses of keys from outside their observe_cidrs, which only report.")
	lastUsePending = describe("apikeyd_last_use_pending",
		"Keys with a last use or counts that are not yet in the database, by the hour.")
	lastUseLag = describe("apikeyd_last_use_lag_seconds",
		"Age of the oldest last use or count that is not yet in the database.")
	lastUseFailures = describe("apikeyd_last_use_write_failures_total",
		"Failed attempts to write last uses and counts; they are retried.")
	lastUseLost = describe("apikeyd_last_use_lost_total",
		"Last uses and counts that will not be written: too many waited, or it is unknown whether they were.")
)

// Describe implements prometheus.Collector.
func (v verifier) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(v, to) }

// Collect implements prometheus.Collector.
func (v verifier) Collect(to chan<- prometheus.Metric) {
	s := v.v.Keys.Stats()
	to <- counter(cacheHits, s.Hits)
	to <- counter(cacheMisses, s.Misses)
	to <- counter(cacheEvictions, s.Evicted)
	to <- gauge(cacheEntries, s.Keys, "key")
	to <- gauge(cacheEntries, s.Refused, "refused")
	to <- gauge(cacheEntries, v.v.Keys.Owners(), "owner")
	to <- gauge(cacheEntries, v.v.Keys.ForeignSecrets(), "foreign")
	to <- flag(cacheTrusted, s.Trusted)
	to <- gauge(limitedKeys, v.v.Limited())
	to <- gauge(quotaKeys, v.v.QuotaKeys())
	to <- counter(outsideUses, v.v.OutsideUses())
	to <- gauge(lastUsePending, s.UnsavedUses)
	to <- gauge(lastUseLag, s.UsesLag.Seconds())
	to <- counter(lastUseFailures, s.FailedWrites)
	to <- counter(lastUseLost, s.LostUses)
}
