package apikey

import (
	"encoding/json"
	"fmt"
	"time"
)

const (
	maxRateLimit  = 1_000_000
	maxRateWindow = 24 * time.Hour
)

// RateLimit limits calls: to Limit at once, and one more every Window/Limit. The zero RateLimit is no
// limit.
type RateLimit struct {
	Limit  int           // 1 to 1,000,000
	Window time.Duration // whole seconds, up to a day
}

// IsNone reports whether there is no limit.
func (r RateLimit) IsNone() bool { return r == RateLimit{} }

// rate is the calls that pass in a second, in the long run.
func (r RateLimit) rate() float64 { return float64(r.Limit) / r.Window.Seconds() }

// rateLimitJSON is a limit in the contract's JSON.
type rateLimitJSON struct {
	Limit         int   `json:"limit"`
	WindowSeconds int64 `json:"window_seconds"`
}

// MarshalJSON returns the contract's JSON.
func (r RateLimit) MarshalJSON() ([]byte, error) {
	return json.Marshal(rateLimitJSON{r.Limit, int64(r.Window / time.Second)})
}

// UnmarshalJSON reads the contract's JSON.
func (r *RateLimit) UnmarshalJSON(text []byte) error {
	var j rateLimitJSON
	err := json.Unmarshal(text, &j)
	*r = RateLimit{Limit: j.Limit, Window: time.Duration(j.WindowSeconds) * time.Second}
	return err
}

// CheckRateLimit returns an *InvalidError if a key cannot have this rate limit.
func CheckRateLimit(r RateLimit) error {
	switch {
	case r.IsNone():
		return nil
	case r.Limit < 1 || r.Limit > maxRateLimit:
		return Invalid("rate_limit.limit", fmt.Sprintf("must be a whole number from 1 to %d", maxRateLimit))
	case r.Window < time.Second || r.Window > maxRateWindow || r.Window%time.Second != 0:
		return Invalid("rate_limit.window_seconds",
			fmt.Sprintf("must be a whole number from 1 to %d", maxRateWindow/time.Second))
	}
	return nil
}
