package keyfield

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/apikey"
)

// JSON encodes the client's types as the API answers them: times in UTC with exactly
// milliseconds, and no null for an empty list or map.
func JSON(value any, options ...json.Options) ([]byte, error) {
	times := json.MarshalToFunc(func(e *jsontext.Encoder, t time.Time) error {
		return e.WriteToken(jsontext.String(apikey.Timestamp(t).String()))
	})
	return json.Marshal(value, json.WithMarshalers(times), json.Deterministic(true), json.JoinOptions(options...))
}
