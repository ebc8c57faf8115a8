package handlers

import (
	"context"
	"errors"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
)

// leakRate limits ineffective reports from one address: enough for honest mistakes, too few for
// guessing secrets.
var leakRate = apikey.RateLimit{Limit: 30, Window: time.Minute}

// leakThanks is the answer to every report.
const leakThanks = "Thank you. If this was the secret of a key, it no longer works."

// ReportLeakedKey implements the operation reportLeakedKey. It checks the secret before the limit, so a
// report of a working secret always passes, even from an address over the limit.
func (s *Server) ReportLeakedKey(
	ctx context.Context, request gen.ReportLeakedKeyRequestObject,
) (gen.ReportLeakedKeyResponseObject, error) {
	x := exchangeOf(ctx)
	_, err := s.endLeaked(ctx, request.Body.Key, x, "leak report")
	if errors.Is(err, store.ErrNotFound) {
		err = s.leakReports.check(x.address, s.Now())
	}
	if err != nil {
		return nil, err
	}
	return gen.ReportLeakedKey202JSONResponse{Body: gen.LeakReportResponse{Message: leakThanks}}, nil
}

// origin says whether this service issued a text.
type origin int

const (
	foreign origin = iota // it did not
	unclear               // it names a key, but matches no hash that is kept
	issued
)

// endLeaked ends a leaked secret. It returns store.ErrNotFound if the secret does not work anyway. The log
// gets these attributes about where it was found.
func (s *Server) endLeaked(ctx context.Context, leaked string, x *exchange, via string, where ...any) (origin, error) {
	id, hash, ok, err := s.Verifier.Identify(ctx, leaked)
	if err != nil {
		return foreign, err
	}
	if !ok {
		return foreign, store.ErrNotFound
	}
	// A read costs less than a transaction, and most reports end here.
	key, err := s.Store.Key(ctx, store.ByID(id))
	if err != nil {
		return foreign, err
	}
	origin := unclear
	if key.SecretHash.Equal(hash) || key.OldSecretHash.Equal(hash) {
		origin = issued
	}
	if key.IsRevoked() || !key.Accepts(hash, s.Now()) {
		return origin, store.ErrNotFound
	}
	key, err = s.Store.EndSecret(ctx, store.Actor{
		Key: id, Secret: hash, Via: via, Address: addressText(x.address), RequestID: x.requestID,
	})
	if err != nil {
		return origin, err
	}
	s.Log.WarnContext(ctx, "a leaked secret was ended", append([]any{"request_id", x.requestID,
		"address", x.address.String(), "key", key.ID.String(), "owner", loggable(key.Owner), "revoked", key.IsRevoked()}, where...)...)
	return origin, nil
}
