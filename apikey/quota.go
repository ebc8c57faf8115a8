package apikey

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Period is the length of a quota's periods.
type Period string

// The periods. They begin at midnight UTC.
const (
	Day   Period = "day"
	Week  Period = "week"
	Month Period = "month"
)

const (
	// MaxQuota is the highest limit of a quota.
	MaxQuota = 1_000_000_000_000
	// MaxCost is the highest cost of a call.
	MaxCost = 1_000_000
)

// Quota limits the units that calls use in each calendar period, in UTC. The zero Quota is no limit.
type Quota struct {
	Limit  int // 1 to MaxQuota
	Period Period
	// StartsOn is the day on which a period starts: of the week, 1 (Monday) to 7, or of the month, 1 to 31,
	// where a shorter month uses its last day. It is 1 for days.
	StartsOn int
}

// IsNone reports whether there is no limit.
func (q Quota) IsNone() bool { return q == Quota{} }

// rate is about the units that pass in a day.
func (q Quota) rate() float64 {
	return float64(q.Limit) / map[Period]float64{Day: 1, Week: 7, Month: 30}[q.Period]
}

// PeriodAt returns when the period that holds a time starts and ends.
func (q Quota) PeriodAt(at time.Time) (start, end time.Time) {
	year, month, day := at.UTC().Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	switch q.Period {
	case Week:
		passed := (int(midnight.Weekday()) - q.StartsOn + 7) % 7
		start = midnight.AddDate(0, 0, -passed)
		return start, start.AddDate(0, 0, 7)
	case Month:
		if start = q.startIn(year, month); start.After(midnight) {
			return q.startIn(year, month-1), start
		}
		return start, q.startIn(year, month+1)
	default:
		return midnight, midnight.AddDate(0, 0, 1)
	}
}

// startIn returns when the period starts that starts in a month. Months below 1 and above 12 belong to
// other years.
func (q Quota) startIn(year int, month time.Month) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC)
	return last.AddDate(0, 0, min(q.StartsOn, last.Day())-last.Day())
}

// quotaJSON is a quota in the contract's JSON.
type quotaJSON struct {
	Limit    int    `json:"limit"`
	Period   Period `json:"period"`
	StartsOn int    `json:"starts_on"`
}

// MarshalJSON returns the contract's JSON.
func (q Quota) MarshalJSON() ([]byte, error) { return json.Marshal(quotaJSON(q)) }

// UnmarshalJSON reads the contract's JSON.
func (q *Quota) UnmarshalJSON(text []byte) error {
	j := quotaJSON{StartsOn: 1}
	err := json.Unmarshal(text, &j)
	*q = Quota(j)
	return err
}

// String is the quota in words: 1000 a month from day 15.
func (q Quota) String() string {
	text := fmt.Sprintf("%d a %s", q.Limit, q.Period)
	if q.StartsOn > 1 {
		text += fmt.Sprintf(" from day %d", q.StartsOn)
	}
	return text
}

// CheckQuota returns an *InvalidError if a key cannot have this quota.
func CheckQuota(q Quota) error {
	if q.IsNone() {
		return nil
	}
	last, known := map[Period]int{Day: 1, Week: 7, Month: 31}[q.Period]
	switch {
	case q.Limit < 1 || q.Limit > MaxQuota:
		return Invalid("quota.limit", fmt.Sprintf("must be a whole number from 1 to %d", MaxQuota))
	case !known:
		return Invalid("quota.period", "must be day, week or month")
	case q.StartsOn == 1:
		return nil
	case last == 1:
		return Invalid("quota.starts_on", "must be 1 or left out if the period is day")
	case q.StartsOn < 1 || q.StartsOn > last:
		return Invalid("quota.starts_on", fmt.Sprintf("must be a day of the %s, from 1 to %d", q.Period, last))
	}
	return nil
}

// appendQuota appends a quota; the zero quota is absent.
func appendQuota(b []byte, q Quota) []byte {
	if q.IsNone() {
		return b
	}
	b = strconv.AppendInt(append(b, `{"limit":`...), int64(q.Limit), 10)
	b = appendText(append(b, `,"period":`...), string(q.Period))
	b = strconv.AppendInt(append(b, `,"starts_on":`...), int64(q.StartsOn), 10)
	return append(b, '}')
}
