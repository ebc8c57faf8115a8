package conformance

import (
	"net/http"
	"reflect"
	"strings"

	"apikeyd/apikey"
)

func webhookChecks() []check {
	const group = "webhooks"
	return []check{
		{group, "stored", "a webhook is created, changed, listed and deleted", needAdminKey, keptWebhook},
		{group, "secret", "a webhook's secret is shown when it is made, and never again", needAdminKey, webhookSecret},
		{group, "deliveries", "a test event is delivered or waits, and can be delivered again", needAdminKey, webhookDeliveries},
		{group, "urls", "URLs and events that make no sense are refused", needAdminKey, webhookURLs},
		{group, "authority", "only keys:admin sees and changes webhooks", needAdminKey, webhookAuthority},
	}
}

// nowhere is a URL whose host has no address: what the run does is told to nobody.
const nowhere = "https://conformance.invalid/"

// newWebhook creates a webhook of an owner that the run made up, and returns its id and what deletes it.
func (s *session) newWebhook() (made map[string]any, remove func()) {
	made = s.want(http.StatusCreated, request{operation: "createWebhook", body: fields{"url": nowhere + s.run, "owner": s.newName()}.json()}).body
	s.keepSecret(text(made["secret"]))
	id := text(made["id"])
	return made, func() { s.want(http.StatusOK, request{operation: "deleteWebhook", key: id}) }
}

func keptWebhook(s *session) {
	made, remove := s.newWebhook()
	id := text(made["id"])
	delete(made, "secret")
	same := func(why string, got map[string]any) {
		delete(got, "disabled_at")
		if !reflect.DeepEqual(got, made) {
			s.fail("%s: the webhook is %v, want %v", why, got, made)
		}
	}
	get := request{operation: "getWebhook", key: id}
	same("after its creation", s.want(http.StatusOK, get).body)
	made["url"], made["description"], made["events"] = nowhere+"other", "other", []any{"api_key.leaked", "webhook.test"}
	made["enabled"], made["disabled_reason"] = false, "request"
	change := fields{"url": made["url"], "description": "other", "events": made["events"], "enabled": false}
	same("changing everything", s.want(http.StatusOK, request{operation: "updateWebhook", key: id, body: change.json(), why: "everything"}).body)
	same("changing nothing", s.want(http.StatusOK, request{operation: "updateWebhook", key: id, body: "{}", why: "nothing"}).body)
	listed := false
	for _, one := range list(s.want(http.StatusOK, request{operation: "listWebhooks"}).body["data"]) {
		if object(one)["id"] == id {
			listed = true
			same("in the list", object(one))
		}
	}
	if !listed {
		s.fail("the list lacks the webhook %s", id)
	}
	remove()
	for _, missing := range []request{get, {operation: "updateWebhook", key: id, body: "{}"}, {operation: "deleteWebhook", key: id},
		{operation: "rotateWebhookSecret", key: id, body: `{"grace_seconds":0}`}, {operation: "testWebhook", key: id},
		{operation: "listWebhookDeliveries", key: id}, {operation: "retryWebhookDelivery", key: id, event: id}} {
		missing.why = "a deleted webhook"
		s.want(http.StatusNotFound, missing)
	}
}

func webhookSecret(s *session) {
	made, remove := s.newWebhook()
	defer remove()
	id, first := text(made["id"]), text(made["secret"])
	rotate := request{operation: "rotateWebhookSecret", key: id, body: `{"grace_seconds":3600}`}
	rotated := s.want(http.StatusOK, rotate)
	s.keepSecret(text(rotated.body["secret"]))
	if second := text(rotated.body["secret"]); second == first || !strings.HasPrefix(second, "whsec_") || rotated.body["old_secret_until"] == nil {
		s.fail("%s: the secret is not another one beside the old one", rotated.about)
	}
	rotate.body, rotate.why = `{"grace_seconds":0}`, "without a grace"
	at := s.want(http.StatusOK, rotate)
	s.keepSecret(text(at.body["secret"]))
	if at.body["old_secret_until"] != nil {
		s.fail("%s: the old secret is still good", at.about)
	}
	if again := s.want(http.StatusOK, request{operation: "getWebhook", key: id}); again.body["secret"] != nil {
		s.fail("%s: the secret is shown again", again.about)
	}
	for _, grace := range []any{-1, 604801, "1"} {
		s.refuses("grace_seconds", request{operation: "rotateWebhookSecret", key: id, body: fields{"grace_seconds": grace}.json()})
	}
}

func webhookDeliveries(s *session) {
	made, remove := s.newWebhook()
	defer remove()
	id := text(made["id"])
	deliveries := request{operation: "listWebhookDeliveries", key: id}
	if first := s.want(http.StatusOK, deliveries); len(list(first.body["data"])) > 0 {
		s.fail("%s: a new webhook has deliveries", first.about)
	}
	test := s.want(http.StatusAccepted, request{operation: "testWebhook", key: id})
	event := text(test.body["event_id"])
	if test.body["type"] != "webhook.test" {
		s.fail("%s: the event is %v", test.about, test.body["type"])
	}
	found := s.want(http.StatusOK, deliveries)
	if all := list(found.body["data"]); len(all) != 1 || object(all[0])["event_id"] != event {
		s.fail("%s: the deliveries are %v, want the one of %s", found.about, all, event)
	}
	deliveries.query, deliveries.why = "before="+event, "before the only one"
	if none := s.want(http.StatusOK, deliveries); len(list(none.body["data"])) > 0 {
		s.fail("%s: there are deliveries", none.about)
	}
	retry := request{operation: "retryWebhookDelivery", key: id, event: event}
	s.want(http.StatusAccepted, retry)
	s.want(http.StatusNotFound, request{operation: "retryWebhookDelivery", key: id, event: id, why: "an event that it has not got"})
	for field, query := range map[string]string{"state": "state=lost", "before": "before=1", "items_per_page": "items_per_page=0"} {
		s.refuses(field, request{operation: "listWebhookDeliveries", key: id, query: query})
	}
	s.want(http.StatusOK, request{operation: "updateWebhook", key: id, body: `{"enabled":false}`})
	for _, r := range []request{retry, {operation: "testWebhook", key: id}} {
		r.why = "while it is disabled"
		s.wantCode(http.StatusConflict, "WEBHOOK_DISABLED", r)
	}
}

func webhookURLs(s *session) {
	for why, url := range map[string]any{
		"another scheme": "ftp://conformance.invalid", "no scheme": "conformance.invalid", "no host": "https:///in",
		"a password": "https://" + s.run + ":b@conformance.invalid", "a fragment": nowhere + "#a", "too long": nowhere + strings.Repeat("a", 2048), "a number": 1, "null": nil,
	} {
		s.refuses("url", request{operation: "createWebhook", body: fields{"url": url}.json(), why: why})
	}
	for _, r := range []request{{operation: "listWebhooks"}, {operation: "getWebhook"}, {operation: "updateWebhook", body: "{}"}, {operation: "deleteWebhook"},
		{operation: "testWebhook"}, {operation: "retryWebhookDelivery"}} {
		r.key, r.query = s.run, "verbose=1"
		s.refuses("verbose", r)
	}
	s.refuses("events.0", request{operation: "createWebhook", body: fields{"url": nowhere, "events": []string{"api_key.unknown"}}.json(), why: "an unknown event"})
	s.refuses("description", request{operation: "createWebhook", body: fields{"url": nowhere, "description": "a\nb"}.json(), why: "a line break"})
	s.refuses("owner", request{operation: "createWebhook", body: fields{"url": nowhere, "owner": ""}.json(), why: "an empty owner"})
}

func webhookAuthority(s *session) {
	key := s.create(s.keyBody().with("scopes", []string{apikey.ScopeRead, apikey.ScopeWrite}))
	made, remove := s.newWebhook()
	defer remove()
	id := text(made["id"])
	for _, r := range []request{
		{operation: "listWebhooks"}, {operation: "createWebhook", body: fields{"url": nowhere}.json()}, {operation: "getWebhook", key: id},
		{operation: "updateWebhook", key: id, body: "{}"}, {operation: "deleteWebhook", key: id}, {operation: "testWebhook", key: id},
		{operation: "rotateWebhookSecret", key: id, body: `{"grace_seconds":0}`}, {operation: "listWebhookDeliveries", key: id},
		{operation: "retryWebhookDelivery", key: id, event: id},
	} {
		r.secret, r.why = key.secret, "without keys:admin"
		s.want(http.StatusForbidden, r)
	}
}
