package handlers

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/history"
	"apikeyd/store"
)

// historyAttempts is how often a history is read that a change in the meantime may have made inconsistent.
const historyAttempts = 3

// GetApiKeyHistory implements the operation getApiKeyHistory.
func (s *Server) GetApiKeyHistory(
	ctx context.Context, request gen.GetApiKeyHistoryRequestObject,
) (gen.GetApiKeyHistoryResponseObject, error) {
	ref, err := reference(callerFrom(ctx).key, request.KeyName, request.Params.Owner)
	if err != nil {
		return nil, err
	}
	at := or(request.Params.At, apikey.Timestamp(s.Now())).Time()
	// A change between the reads of the key and of its events would look like a change without its event.
	for attempt := 1; ; attempt++ {
		key, err := s.Store.Key(ctx, ref) // not the cache's, which has no metadata
		if err != nil {
			return nil, err
		}
		if err := checkPast(key, at, s.Now()); err != nil {
			return nil, err
		}
		state, err := history.At(ctx, s.Store, key, at, s.Now())
		if err != nil {
			return nil, err
		}
		if state.Consistent || attempt == historyAttempts {
			return historyAnswer(state, at)
		}
		ref = store.ByID(key.ID) // it may have been renamed
	}
}

// checkPast refuses a time at which the key did not exist yet, or that has not come yet.
func checkPast(key apikey.Key, at, now time.Time) error {
	switch {
	case at.Before(key.CreatedAt):
		return apikey.Invalid("at", "must not be before "+apikey.Timestamp(key.CreatedAt).String()+", when the key was created")
	case at.After(now):
		return apikey.Invalid("at", "must not be in the future")
	}
	return nil
}

func historyAnswer(state history.State, at time.Time) (answer, error) {
	key, err := state.AppendJSON(nil, at)
	if err != nil {
		return answer{}, fmt.Errorf("%w: an audit event cannot be read: %w", store.ErrDamaged, err)
	}
	return answer{http.StatusOK, "", "", 2 * keySize, func(b []byte) []byte {
		b = append(apikey.Timestamp(at).Append(append(b, `{"at":"`...)), '"')
		b = strconv.AppendBool(append(b, `,"consistent":`...), state.Consistent)
		b = append(append(b, `,"key":`...), key...)
		if state.Secret > 0 {
			b = strconv.AppendInt(append(b, `,"secret_generation":`...), int64(state.Secret), 10)
		}
		if !state.SecretSince.IsZero() {
			b = append(apikey.Timestamp(state.SecretSince).Append(append(b, `,"secret_since":"`...)), '"')
		}
		return append(b, '}')
	}}, nil
}

// VisitGetApiKeyHistoryResponse writes an answer of getApiKeyHistory.
func (a answer) VisitGetApiKeyHistoryResponse(w http.ResponseWriter) error { return a.write(w) }
