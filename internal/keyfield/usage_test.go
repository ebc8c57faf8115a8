package keyfield_test

import (
	"strings"
	"testing"
	"time"

	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	u := client.Usage{Since: at.Add(12 * time.Minute), Interval: time.Hour, Counts: []client.UsageCount{
		{Start: at, Valid: 42, Refused: 3, Codes: map[client.VerifyCode]int{"VALID": 42, "EXPIRED": 2, "RATE_LIMITED": 1}},
		{Start: at.Add(time.Hour), Codes: map[client.VerifyCode]int{}},
	}, Quota: client.QuotaState{Remaining: 5, ResetsAt: at}}
	const wantCSV = "start,valid,refused,NOT_FOUND,REVOKED,DISABLED,EXPIRED,ADDRESS_NOT_ALLOWED,INSUFFICIENT_SCOPE,QUOTA_EXCEEDED,RATE_LIMITED\r\n" +
		"2026-11-23T09:00:00.000Z,42,3,0,0,0,2,0,0,0,1\r\n2026-11-23T10:00:00.000Z,0,0,0,0,0,0,0,0,0,0\r\n"
	var table strings.Builder
	if err := keyfield.WriteUsage(&table, u); err != nil || table.String() != wantCSV {
		t.Errorf("CSV is %q, %v", table.String(), err)
	}
	const wantJSON = `{"since":"2026-11-23T09:12:00.000Z","interval_seconds":3600,"data":[` +
		`{"start":"2026-11-23T09:00:00.000Z","valid":42,"refused":3,"codes":{"EXPIRED":2,"RATE_LIMITED":1,"VALID":42}},` +
		`{"start":"2026-11-23T10:00:00.000Z","valid":0,"refused":0,"codes":{}}],` +
		`"quota":{"remaining":5,"resets_at":"2026-11-23T09:00:00.000Z"}}`
	if text, err := keyfield.JSON(keyfield.Usage(u)); err != nil || string(text) != wantJSON {
		t.Errorf("JSON is %s, %v", text, err)
	}
}
