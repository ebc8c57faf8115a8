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
	err := s.endLeaked(ctx, request.Body.Key, x)
	if errors.Is(err, store.ErrNotFound) {
		err = s.leakReports.check(x.address, s.Now())
	}
	if err != nil {
		return nil, err
	}
	return gen.ReportLeakedKey202JSONResponse{Body: gen.LeakReportResponse{Message: leakThanks}}, nil
}

// endLeaked ends a leaked secret. It returns store.ErrNotFound if the secret does not work anyway.
func (s *Server) endLeaked(ctx context.Context, leaked string, x *exchange) error {
	id, hash, ok, err := s.Verifier.Identify(ctx, leaked)
	if err != nil {
		return err
	}
	if !ok {
		return store.ErrNotFound
	}
	// A read costs less than a transaction, and most reports end here.
	key, err := s.Store.Key(ctx, store.ByID(id))
	if err != nil {
		return err
	}
	if key.IsRevoked() || !key.Accepts(hash, s.Now()) {
		return store.ErrNotFound
	}
	key, err = s.Store.EndSecret(ctx, store.Actor{
		Key: id, Secret: hash, Via: "leak report", Address: addressText(x.address),
		RequestID: x.requestID,
	})
	if err != nil {
		return err
	}
	s.Log.WarnContext(ctx, "a leaked secret was ended", "request_id", x.requestID,
		"address", x.address.String(), "key", key.ID.String(), "owner", loggable(key.Owner), "revoked", key.IsRevoked())
	return nil
}
