package console

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"apikeyd/client"
)

// showQuota puts a quota into a form.
func showQuota(form url.Values, q client.Quota) {
	form.Set("period", string(client.Month))
	form.Set("starts", "1")
	if q != (client.Quota{}) {
		form.Set("quota", strconv.Itoa(q.Limit))
		form.Set("period", string(q.Period))
		form.Set("starts", strconv.Itoa(q.StartsOn))
	}
}

func quotaOf(form url.Values, f *faults) (q client.Quota) {
	units := strings.TrimSpace(form.Get("quota"))
	if units == "" {
		return q
	}
	var err error
	if q.Limit, err = strconv.Atoi(units); err != nil {
		f.add("quota", notWholeNumber)
	}
	if q.StartsOn, err = strconv.Atoi(strings.TrimSpace(form.Get("starts"))); err != nil {
		f.add("starts", notWholeNumber)
	}
	q.Period = client.Period(form.Get("period"))
	return q
}

// quotaText describes a quota.
func quotaText(q client.Quota) string {
	if q == (client.Quota{}) {
		return "none"
	}
	text := plural(q.Limit, "unit") + " per " + string(q.Period)
	if q.StartsOn > 1 {
		text += fmt.Sprintf(" from day %d", q.StartsOn)
	}
	return text
}
