package keyfield

import (
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// usageCodes are the codes of which a CSV file has a column each.
var usageCodes = []client.VerifyCode{
	client.VerifyNotFound, client.VerifyRevoked, client.VerifyDisabled, client.VerifyExpired, client.VerifyAddressNotAllowed,
	client.VerifyInsufficientScope, client.VerifyQuotaExceeded, client.VerifyRateLimited,
}

// usageAnswer and usageCount are a usage as the API answers it.
type usageAnswer struct {
	Since   time.Time          `json:"since"`
	Seconds int                `json:"interval_seconds"`
	Data    []usageCount       `json:"data"`
	Quota   *client.QuotaState `json:"quota,omitzero"`
}

type usageCount struct {
	Start   time.Time                 `json:"start"`
	Valid   int                       `json:"valid"`
	Refused int                       `json:"refused"`
	Codes   map[client.VerifyCode]int `json:"codes"`
}

// Usage is a usage for JSON to make what the API answered.
func Usage(u client.Usage) any {
	answer := usageAnswer{Since: u.Since, Seconds: int(u.Interval.Seconds()), Data: []usageCount{}}
	if u.Quota != (client.QuotaState{}) {
		answer.Quota = &u.Quota
	}
	for _, c := range u.Counts {
		answer.Data = append(answer.Data, usageCount(c))
	}
	return answer
}

// WriteUsage writes a usage as CSV (RFC 4180), with a line for each interval.
func WriteUsage(to io.Writer, u client.Usage) error {
	table := csv.NewWriter(to)
	table.UseCRLF = true
	row := []string{"start", "valid", "refused"}
	for _, code := range usageCodes {
		row = append(row, string(code))
	}
	_ = table.Write(row) // the error stays until the end
	for _, c := range u.Counts {
		row = append(row[:0], apikey.Timestamp(c.Start).String(), strconv.Itoa(c.Valid), strconv.Itoa(c.Refused))
		for _, code := range usageCodes {
			row = append(row, strconv.Itoa(c.Codes[code]))
		}
		_ = table.Write(row)
	}
	table.Flush()
	return table.Error()
}
