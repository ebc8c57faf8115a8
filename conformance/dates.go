package conformance

import (
	"net/http"
	"time"

	"apikeyd/apikey"
)

func dateChecks() []check {
	const group = "dates"
	return []check{
		{group, "strict", "expires_at must be strict RFC 3339 and in the future", needWriteKey, badDates},
		{group, "milliseconds", "times are kept in milliseconds and returned in UTC", needWriteKey, goodDates},
	}
}

func badDates(s *session) {
	for why, text := range map[string]string{
		"empty":                 "",
		"no offset":             "2099-01-01T00:00:00",
		"only a date":           "2099-01-01",
		"a space for the T":     "2099-01-01 00:00:00Z",
		"a comma":               "2099-01-01T00:00:00,5Z",
		"no digits after point": "2099-01-01T00:00:00.Z",
		"no seconds":            "2099-01-01T00:00Z",
		"a leap second":         "2098-12-31T23:59:60Z",
		"the 30th of February":  "2099-02-30T00:00:00Z",
		"hour 24":               "2099-01-01T24:00:00Z",
		"offset without colon":  "2099-01-01T00:00:00+0100",
		"offset of 24 hours":    "2099-01-01T00:00:00+24:00",
		"the past":              "2001-01-01T00:00:00Z",
		"the year 0":            "0000-01-01T00:00:00Z",
		"the year 10000 in UTC": "9999-12-31T23:59:59-01:00",
		"five digits of year":   "12099-01-01T00:00:00Z",
		"Unix time":             "4102444800",
	} {
		body := s.keyBody().with("expires_at", text).json()
		s.refuses("expires_at", request{operation: "createApiKey", body: body, why: "expires_at: " + why})
		s.refuses("expires_at", request{operation: "updateApiKey", key: s.run,
			body: fields{"expires_at": text}.json(), why: "expires_at: " + why})
	}
}

func goodDates(s *session) {
	key := s.create(s.keyBody())
	// Near dates: the deployment may limit the lifetime of keys.
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	text := end.Format("2006-01-02T15:04:05")
	for _, tt := range []struct {
		why, text string
		want      time.Time
	}{
		{"no fraction", text + "Z", end},
		{"one decimal", text + ".5Z", end.Add(500 * time.Millisecond)},
		{"nine decimals", text + ".123999999Z", end.Add(123 * time.Millisecond)},
		{"an offset of 14 hours", end.Add(14*time.Hour).Format("2006-01-02T15:04:05") + "+14:00", end},
		{"an offset of minus zero", text + "-00:00", end},
	} {
		a := s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id,
			body: fields{"expires_at": tt.text}.json(), why: "expires_at: " + tt.why})
		if want := apikey.Timestamp(tt.want).String(); a.status == http.StatusOK && a.body["expires_at"] != want {
			s.fail("%s: answered as %v, want %s", a.about, a.body["expires_at"], want)
		}
	}
}
