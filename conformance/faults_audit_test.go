//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
)

var auditFaults = map[string]planted{
	"a change is missing in the log": {
		events(func(all []any) []any {
			return slices.DeleteFunc(all, func(e any) bool { return e.(map[string]any)["action"] == "leak" })
		}),
		"every change makes one event", "5 changes made 4 events",
	},
	"an event twice": {
		events(func(all []any) []any { return append(all, all[len(all)-1]) }),
		"every change makes one event", "5 changes made 6 events",
	},
	"oldest first": {
		events(func(all []any) []any { slices.Reverse(all); return all }),
		"every change makes one event", "not newest first",
	},
	"the actor is always the operator": {
		eachEvent(func(e map[string]any) { e["actor"] = "operator" }),
		"every change makes one event", "says actor operator",
	},
	"the actor is the key": {
		eachEvent(func(e map[string]any) { e["actor"] = e["key_id"] }),
		"every change makes one event", "says actor",
	},
	"another request id": {
		eachEvent(func(e map[string]any) { e["request_id"] = "AAAAAAAAAAAA" }),
		"every change makes one event", "says request_id AAAAAAAAAAAA",
	},
	"no address": {
		eachEvent(func(e map[string]any) { delete(e, "address") }),
		"every change makes one event", `came from address ""`,
	},
	"an address with a port": {
		eachEvent(func(e map[string]any) { e["address"] = "127.0.0.1:80" }),
		"every change makes one event", "came from address",
	},
	"a leak report is logged as a revocation": {
		eachEvent(func(e map[string]any) {
			if e["action"] == "leak" {
				e["action"] = "revoke"
			}
		}),
		"every change makes one event", "the event of leak says action revoke",
	},
	"changes without old values": {
		eachEvent(func(e map[string]any) {
			for _, change := range e["changes"].(map[string]any) {
				delete(change.(map[string]any), "from")
			}
		}),
		"an event has each changed field's", "changed",
	},
	"empty changes": {
		eachEvent(func(e map[string]any) { e["changes"] = map[string]any{} }),
		"an event has each changed field's", "says that {} changed",
	},
	"an undeclared hash of the secret": {
		eachEvent(func(e map[string]any) {
			e["changes"].(map[string]any)["secret_hash"] = map[string]any{"to": "0"}
		}),
		"an event has each changed field's", "/changes/secret_hash is not in the contract",
	},
	"refusals in the log": {
		events(func(all []any) []any {
			if len(all) == 1 {
				return append(all, all[0])
			}
			return all
		}),
		"a call that is refused or changes nothing", "made 2 events",
	},
	"key is ignored":    withoutAuditFilter("key", "events with key="),
	"actor is ignored":  withoutAuditFilter("actor", "events with actor="),
	"action is ignored": withoutAuditFilter("action", "action="),
	"since is ignored":  withoutAuditFilter("since", "events with since="),
	"until is ignored":  withoutAuditFilter("until", "events with until="),
	"owner is ignored": {
		requests(func(r *http.Request) {
			if isAudit(r) && r.URL.Query().Has("before") {
				leaveOut(r, "owner")
			}
		}),
		"filters narrow the events", "events with before=",
	},
	"operator matches all actors": {
		requests(func(r *http.Request) {
			if isAudit(r) && r.URL.Query().Get("actor") == "operator" {
				leaveOut(r, "actor")
			}
		}),
		"filters narrow the events", "events with actor=operator",
	},
	"before includes its event": {
		requests(func(r *http.Request) {
			if query := r.URL.Query(); isAudit(r) && query.Has("before") && !strings.HasSuffix(query.Get("before"), "0000") {
				query.Set("before", next(query.Get("before")))
				r.URL.RawQuery = query.Encode()
			}
		}),
		"events can be paged", "reading events by",
	},
	"no next": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isAudit(r) && a.Code == http.StatusOK {
				rewrite(a, func(body map[string]any) { delete(body, "next") })
			}
		}),
		"events can be paged", "reading events by 1 finds",
	},
	"an invalid actor is ignored": {
		requests(func(r *http.Request) {
			if isAudit(r) && r.URL.Query().Get("actor") == "Operator" {
				leaveOut(r, "actor")
			}
		}),
		"an invalid audit filter", "actor=Operator",
	},
	"page numbers are accepted": {
		requests(func(r *http.Request) {
			if isAudit(r) {
				leaveOut(r, "page")
			}
		}),
		"an invalid audit filter", "page=2: status 200",
	},
}

// events makes a fault that changes lists of events that are not empty.
func events(change func(all []any) []any) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if !isAudit(r) || a.Code != http.StatusOK {
			return
		}
		rewrite(a, func(body map[string]any) {
			if all := body["data"].([]any); len(all) > 0 {
				body["data"] = change(all)
			}
		})
	})
}

func eachEvent(change func(event map[string]any)) func() fault {
	return events(func(all []any) []any {
		for _, event := range all {
			change(event.(map[string]any))
		}
		return all
	})
}

func withoutAuditFilter(name, finding string) planted {
	return planted{requests(func(r *http.Request) {
		if isAudit(r) {
			leaveOut(r, name)
		}
	}), "filters narrow the events", finding}
}

// next returns the id after another.
func next(id string) string {
	last := id[len(id)-1]
	switch last {
	case 'f':
		return next(id[:len(id)-1]) + "0"
	case '9':
		return id[:len(id)-1] + "a"
	}
	return id[:len(id)-1] + string(last+1)
}
