package console

import (
	"net/http"

	"apikeyd/client"
)

// pastPage shows a key as it was at an earlier time, and asks for that time.
type pastPage struct {
	Name    string // today's
	ID      string
	Asked   string // as it was typed
	Problem string // why nothing is shown, if a time was asked for
	Then    *past
}

// past is a key as it was.
type past struct {
	keyRow
	client.Past
	At    moment
	Limit string
	Quota string
}

func showPast(v *visit) error {
	key, err := v.api.Get(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	p := pastPage{Name: key.Name, ID: key.ID, Asked: v.form.Get("at")}
	status := http.StatusOK
	if p.Asked != "" {
		if p.Then, p.Problem, err = v.past(key.ID, p.Asked); err != nil {
			return err
		}
		if p.Problem != "" {
			status = http.StatusBadRequest
		}
		if _, isTime := fieldTime(p.Asked); !isTime {
			p.Asked = "" // a browser's field shows none but times
		}
	}
	v.show(status, "past", key.Name+" as it was", p)
	return nil
}

// past returns what a key was at a time that was typed, or why that cannot be said.
func (v *visit) past(id, typed string) (then *past, problem string, err error) {
	at, ok := fieldTime(typed)
	if !ok {
		return nil, "Give a date and a time.", nil
	}
	was, err := v.api.GetAt(v.ctx(), id, at)
	switch client.CodeOf(err) {
	case client.CodeInvalidRequest:
		return nil, "Give a time since the key was created that is not in the future.", nil
	case client.CodeHistoryRemoved:
		return nil, "The audit log no longer reaches back so far. Give a later time.", nil
	}
	if err != nil {
		return nil, "", err
	}
	row := keyRow{Key: was.Key, Condition: conditionOf(was.Key, at), Now: at}
	return &past{
		keyRow: row, Past: was, At: momentOf(at, v.now), Limit: limitText(was.Key.RateLimit), Quota: quotaText(was.Key.Quota),
	}, "", nil
}
