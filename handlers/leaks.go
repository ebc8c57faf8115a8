package handlers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
)

// maxAddresses bounds how many addresses are remembered.
const maxAddresses = 10_000

// leakRate is how many reports that do nothing one address may make: enough for honest
// mistakes, too few to try secrets.
var leakRate = apikey.RateLimit{Limit: 30, Window: time.Minute}

// leakThanks is the answer to every report.
const leakThanks = "Thank you. If this was the secret of a key, it no longer works."

// slowDownError is a 429: too much of the kind came from one address.
type slowDownError struct{ wait time.Duration }

func (e *slowDownError) Error() string {
	return fmt.Sprintf("too many requests of this kind came from your address; try again in %d s", wholeSeconds(e.wait))
}

// ReportLeakedKey implements the operation reportLeakedKey. The secret is tried first:
// a report that ends one always passes, however much noise its address makes.
func (s *Server) ReportLeakedKey(
	ctx context.Context, request gen.ReportLeakedKeyRequestObject,
) (gen.ReportLeakedKeyResponseObject, error) {
	from := exchangeOf(ctx)
	err := s.endLeaked(ctx, request.Body.Key, from)
	if errors.Is(err, store.ErrNotFound) {
		if quota := s.leakReports.Take(from.visitor, leakRate, s.Now()); !quota.Allowed {
			return nil, &slowDownError{quota.RetryAfter}
		}
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return gen.ReportLeakedKey202JSONResponse{Body: gen.LeakReportResponse{Message: leakThanks}}, nil
}

// endLeaked returns store.ErrNotFound if there was nothing to end.
func (s *Server) endLeaked(ctx context.Context, leaked string, from *exchange) error {
	secret, err := apikey.ParseSecret(leaked)
	if err != nil {
		return store.ErrNotFound
	}
	// Looking costs less than a transaction, and most strangers get no further.
	key, err := s.Store.Key(ctx, store.ByID(secret.ID()))
	if err != nil {
		return err
	}
	if key.IsRevoked() || !key.Accepts(secret.Hash(), s.Now()) {
		return store.ErrNotFound
	}
	key, err = s.Store.EndSecret(ctx, store.Actor{
		Key: secret.ID(), Secret: secret.Hash(), Via: "leak report", Address: addressText(from.address),
		RequestID: from.requestID,
	})
	if err != nil {
		return err
	}
	s.Log.WarnContext(ctx, "a leaked secret was ended", "request_id", from.requestID,
		"key", key.ID.String(), "owner", loggable(key.Owner), "revoked", key.IsRevoked())
	return nil
}

// network is the part of an address that one visitor cannot choose at will: all of IPv4,
// half of IPv6.
func network(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	address = address.Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, _ := address.Prefix(bits) // the number fits
	return prefix
}
