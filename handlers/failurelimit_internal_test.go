package handlers

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"apikeyd/apikey"
)

// numbered returns the ith of many addresses in separate networks.
func numbered(i uint64) netip.Addr {
	bytes := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	binary.BigEndian.PutUint32(bytes[4:], uint32(i))
	return netip.AddrFrom16(bytes)
}

// Memory is bounded, and a limited address stays limited during a flood of others that fail once each.
func TestFloodOfAddresses(t *testing.T) {
	t.Parallel()
	slow := newFailureLimiter(apikey.RateLimit{Limit: 5, Window: time.Hour}, "failures")
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	noisy := netip.MustParseAddr("192.0.2.1")
	for range 5 {
		if err := slow.check(noisy, now); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(10 * maxAddresses) {
		if err := slow.check(numbered(i), now); err != nil {
			t.Fatalf("new address %d is limited", i)
		}
		if n := slow.table.Len(); n > maxAddresses {
			t.Fatalf("%d addresses have a bucket, want at most %d", n, maxAddresses)
		}
	}
	if err := slow.check(noisy, now); err == nil {
		t.Error("other addresses evicted the limited one")
	}
}
