//go:build full

package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
)

var listFaults = map[string]planted{
	"names are compared without case": {
		refiltered("name_contains", func(key map[string]any, part string) bool {
			name, _ := key["name"].(string)
			return strings.Contains(strings.ToLower(name), strings.ToLower(part))
		}),
		"name_contains matches literally", `/A%/ finds`,
	},
	"name_contains is a pattern": {
		refiltered("name_contains", func(key map[string]any, part string) bool {
			name, _ := key["name"].(string)
			pattern := strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(part))
			return regexp.MustCompile(pattern).MatchString(name)
		}),
		"name_contains matches literally", `/a_b/ finds`,
	},
	"name_contains is where names begin": {
		refiltered("name_contains", func(key map[string]any, part string) bool {
			name, _ := key["name"].(string)
			return strings.HasPrefix(name, part)
		}),
		"name_contains matches literally", "a part in the middle finds",
	},
	"scope is a part of one": {
		refiltered("scope", func(key map[string]any, scope string) bool {
			return strings.Contains(fmt.Sprint(key["scopes"]), scope)
		}),
		"scope finds the keys", "the scope datasets:read finds",
	},
	"scope looks at the first one": {
		refiltered("scope", func(key map[string]any, scope string) bool {
			scopes, _ := key["scopes"].([]any)
			return len(scopes) > 0 && scopes[0] == scope
		}),
		"scope finds the keys", "the scope datasets:read finds",
	},
	"metadata is ignored": {
		refilteredByAll("metadata", func(map[string]any, []string) bool { return true }),
		"metadata finds the keys", "metadata plan=pro finds",
	},
	"one of several entries is enough": {
		refilteredByAll("metadata", func(key map[string]any, entries []string) bool {
			return slices.ContainsFunc(entries, func(entry string) bool { return hasEntry(key, entry, equal, equal) })
		}),
		"metadata finds the keys", "plan=pro and region=eu finds",
	},
	"only the first entry counts": {
		refilteredByAll("metadata", func(key map[string]any, entries []string) bool { return hasEntry(key, entries[0], equal, equal) }),
		"metadata finds the keys", "plan=pro and region=eu finds",
	},
	"metadata is where values begin": {
		refiltered("metadata", func(key map[string]any, entry string) bool { return hasEntry(key, entry, equal, strings.HasPrefix) }),
		"metadata finds the keys", "metadata plan=pro finds",
	},
	"values of metadata ignore case": {
		refiltered("metadata", func(key map[string]any, entry string) bool { return hasEntry(key, entry, equal, strings.EqualFold) }),
		"metadata finds the keys", "metadata plan=pro finds",
	},
	"an absent entry of metadata is an empty one": {
		refiltered("metadata", func(key map[string]any, entry string) bool {
			name, value, _ := strings.Cut(entry, "=")
			held, _ := key["metadata"].(map[string]any)[name].(string)
			return held == value
		}),
		"metadata finds the keys", "metadata region= finds",
	},
	"a cursor minds the order of metadata": {
		requests(func(r *http.Request) {
			if query := r.URL.Query(); isList(r) && query.Has("cursor") && !slices.IsSorted(query["metadata"]) {
				query.Set("cursor", "2")
				r.URL.RawQuery = query.Encode()
			}
		}),
		"metadata finds the keys", "status 400, want 200",
	},
	"search compares case": {
		refiltered("search", func(key map[string]any, text string) bool {
			return strings.Contains(fmt.Sprint(key["name"], "\n", key["owner"], "\n", key["prefix"]), text)
		}),
		"search finds names and owners", `BUILD/ finds`,
	},
	"search ignores case only for A to Z": {
		requests(func(r *http.Request) {
			if query := r.URL.Query(); isList(r) && query.Has("search") {
				query.Set("search", strings.ReplaceAll(query.Get("search"), "ключ", "nothing"))
				r.URL.RawQuery = query.Encode()
			}
		}),
		"search finds names and owners", `ключ é/ finds`,
	},
	"search does not look at prefixes": {
		refiltered("search", func(key map[string]any, text string) bool {
			return strings.Contains(strings.ToLower(fmt.Sprint(key["name"], "\n", key["owner"])), strings.ToLower(text))
		}),
		"search finds names and owners", `finds [], want ["last"]`,
	},
	"search does not look at owners": {
		refiltered("search", func(key map[string]any, text string) bool {
			return strings.Contains(strings.ToLower(fmt.Sprint(key["name"], "\n", key["prefix"])), strings.ToLower(text)) ||
				strings.HasPrefix(fmt.Sprint(key["prefix"]), text)
		}),
		"search finds names and owners", "a search for an owner finds",
	},
	"a secret may be searched for": {
		requests(func(r *http.Request) {
			if _, err := apikey.ParseSecret(r.URL.Query().Get("search")); err == nil && isList(r) {
				leaveOut(r, "search")
			}
		}),
		"search finds names and owners", "status 200, want 400",
	},
	"a cursor is the number of a page": {
		func() fault {
			page := 1
			return fault{before: func(_ http.Handler, r *http.Request) {
				if isList(r) && leaveOut(r, "cursor") {
					page++
					r.URL.RawQuery += "&page=" + strconv.Itoa(page)
				}
			}}
		},
		"following next_cursor finds every key once", "revoking active keys while listing them finds",
	},
	"the last page has a cursor": {
		answers(func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isList(r) && a.Code == http.StatusOK {
				rewrite(a, func(body map[string]any) { body["pagination"].(map[string]any)["next_cursor"] = "more" })
			}
		}),
		"pages list every key once", `has the next_cursor "more"`,
	},
	"pages have no cursor": {
		answers(func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isList(r) && a.Code == http.StatusOK {
				rewrite(a, func(body map[string]any) { delete(body["pagination"].(map[string]any), "next_cursor") })
			}
		}),
		"a cursor works only with the filters of its list", "there is no next_cursor",
	},
	"a cursor accepts other filters": {
		answers(func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isList(r) && a.Code == http.StatusBadRequest && r.URL.Query().Has("cursor") && r.URL.Query().Has("status") {
				a.Code = http.StatusOK
				a.Body = bytes.NewBufferString(`{"data":[],"pagination":{"total_pages":0,"current_page":0,"items_per_page":20}}`)
			}
		}),
		"a cursor works only with the filters of its list", "status 200, want 400",
	},
	"a page with a cursor is ignored": {
		requests(func(r *http.Request) {
			if isList(r) && r.URL.Query().Has("cursor") {
				leaveOut(r, "page")
			}
		}),
		"a cursor works only with the filters of its list", "status 200, want 400",
	},
	"expires_before includes its own time": {
		refiltered("expires_before", func(key map[string]any, before string) bool {
			return !instant(key["expires_at"]).After(instant(before))
		}),
		"expires_before and last_used_before exclude", "listing expires_before",
	},
	"expires_before ignores the offset": {
		requests(func(r *http.Request) {
			if isList(r) {
				r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "%2B02%3A00", "Z", 1)
			}
		}),
		"expires_before and last_used_before exclude", "+02:00 finds",
	},
	"keys that were never used are left out": {
		refiltered("last_used_before", func(key map[string]any, _ string) bool { return key["last_used_at"] != nil }),
		"expires_before and last_used_before exclude", "listing last_used_before",
	},
	"last_used_before is ignored": {
		requests(func(r *http.Request) { leaveOut(r, "last_used_before") }),
		"expires_before and last_used_before exclude", "listing last_used_before",
	},
	"status is ignored": {
		requests(func(r *http.Request) { leaveOut(r, "status") }),
		"status finds the keys with that status now", "listing ACTIVE finds",
	},
	"an expired key is listed as ACTIVE": {
		refiltered("status", func(key map[string]any, status string) bool {
			return key["status"] == status || status == "ACTIVE" && key["status"] == "EXPIRED"
		}),
		"status finds the keys with that status now", "listing ACTIVE finds",
	},
	"rotating is ignored": {
		requests(func(r *http.Request) { leaveOut(r, "rotating") }),
		"rotating finds the keys", "listing keys in rotation finds",
	},
	"rotating=false is ignored": {
		requests(func(r *http.Request) {
			if r.URL.Query().Get("rotating") == "false" {
				leaveOut(r, "rotating")
			}
		}),
		"rotating finds the keys", "listing keys not in rotation finds",
	},
	"a revoked key is in rotation": {
		refiltered("rotating", func(key map[string]any, rotating string) bool {
			name, _ := key["name"].(string)
			return (strings.Contains(name, "in grace") && key["status"] != "EXPIRED") == (rotating == "true")
		}),
		"rotating finds the keys", "listing keys in rotation finds",
	},
	"a boolean may be a number": {
		requests(func(r *http.Request) {
			if isList(r) && r.URL.Query().Get("rotating") == "1" {
				leaveOut(r, "rotating")
			}
		}),
		"an invalid filter is refused", "?rotating=1: status 200, want 400",
	},
	"total_pages ignores the filters": {
		answers(func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			whole := r.Clone(r.Context())
			if !isList(r) || !leaveOut(whole, "name_contains") || a.Code != http.StatusOK {
				return
			}
			var list struct{ Pagination map[string]any }
			found := httptest.NewRecorder()
			service.ServeHTTP(found, whole)
			_ = json.Unmarshal(found.Body.Bytes(), &list) // the service wrote it
			rewrite(a, func(body map[string]any) {
				body["pagination"].(map[string]any)["total_pages"] = list.Pagination["total_pages"]
			})
		}),
		"filters combine", "on a page that is not the last",
	},
	"a filter lists all owners' keys": {
		requests(func(r *http.Request) {
			if isList(r) && r.URL.Query().Has("name_contains") {
				leaveOut(r, "owner")
			}
		}),
		"filters combine", "listing a name, of one owner finds",
	},
	"only one filter applies": {
		requests(func(r *http.Request) {
			if isList(r) && r.URL.Query().Has("status") {
				leaveOut(r, "expires_before")
			}
		}),
		"filters combine", "listing a status and an end finds",
	},
	"an invalid status is ignored": {
		requests(func(r *http.Request) {
			if isList(r) && r.URL.Query().Get("status") == "active" {
				leaveOut(r, "status")
			}
		}),
		"an invalid filter is refused", "?status=active: status 200, want 400",
	},
}

func instant(value any) time.Time {
	text, _ := value.(string)
	stamp, _ := apikey.ParseTimestamp(text) // the zero time will be noticed
	return stamp.Time()
}

// leaveOut removes a parameter from a query and reports whether it was there.
func leaveOut(r *http.Request, name string) bool {
	query := r.URL.Query()
	if !query.Has(name) {
		return false
	}
	query.Del(name)
	r.URL.RawQuery = query.Encode()
	return true
}

// refiltered makes a fault that implements one filter differently: it lists without the filter and
// then filters and counts itself.
func refiltered(filter string, keep func(key map[string]any, value string) bool) func() fault {
	return refilteredByAll(filter, func(key map[string]any, values []string) bool {
		return !slices.ContainsFunc(values, func(value string) bool { return !keep(key, value) })
	})
}

// hasEntry reports whether a key has an entry NAME=VALUE, as two functions compare names and values.
func hasEntry(key map[string]any, entry string, name, value func(held, wanted string) bool) bool {
	wantedName, wantedValue, _ := strings.Cut(entry, "=")
	metadata, _ := key["metadata"].(map[string]any)
	for heldName, heldValue := range metadata {
		if name(heldName, wantedName) && value(fmt.Sprint(heldValue), wantedValue) {
			return true
		}
	}
	return false
}

func equal(a, b string) bool { return a == b }

// refilteredByAll is refiltered for a filter that may be given several times.
func refilteredByAll(filter string, keep func(key map[string]any, values []string) bool) func() fault {
	return answers(func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
		query := r.URL.Query()
		if !isList(r) || !query.Has(filter) || a.Code != http.StatusOK {
			return
		}
		page, _ := strconv.Atoi(query.Get("page"))
		size, _ := strconv.Atoi(query.Get("items_per_page"))
		all := everyKey(service, r, filter)
		all = slices.DeleteFunc(all, func(key any) bool { return !keep(key.(map[string]any), query[filter]) })
		rewrite(a, func(body map[string]any) {
			from, to := min((page-1)*size, len(all)), min(page*size, len(all))
			body["data"] = append([]any{}, all[from:to]...)
			body["pagination"].(map[string]any)["total_pages"] = (len(all) + size - 1) / size
		})
	})
}

// everyKey lists all pages of a request, without one of its filters.
func everyKey(service http.Handler, r *http.Request, filter string) []any {
	var all []any
	for page := 1; ; page++ {
		query := r.URL.Query()
		query.Del(filter)
		query.Set("page", strconv.Itoa(page))
		query.Set("items_per_page", "100")
		var list struct{ Data []any }
		found := ask(service, r, http.MethodGet, (&url.URL{Path: "/v1/api-keys", RawQuery: query.Encode()}).String(), "")
		if json.Unmarshal(found.Body.Bytes(), &list) != nil || len(list.Data) == 0 {
			return all
		}
		all = append(all, list.Data...)
	}
}
