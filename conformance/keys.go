package conformance

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"time"

	"apikeyd/apikey"
)

// fields are the properties of a body.
type fields map[string]any

func (f fields) json() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // cannot happen with our literals
	}
	return string(text)
}

// with returns a copy of f with a property set.
func (f fields) with(name string, value any) fields {
	all := fields{name: value}
	for k, v := range f {
		if k != name {
			all[k] = v
		}
	}
	return all
}

// keyBody returns the body of a valid creation.
func (s *session) keyBody() fields {
	return fields{"name": s.newName(), "expires_at": inAnHour()}
}

func inAnHour() string { return apikey.Timestamp(time.Now().Add(time.Hour)).String() }

// create creates a key, which will be revoked at the end. Without one the check ends.
func (s *session) create(f fields) created { return s.createAs("", f) }

// createAs is create with another key's secret.
func (s *session) createAs(secret string, f fields) created {
	return s.remember(s.want(http.StatusCreated, request{operation: "createApiKey", secret: secret, body: f.json()}))
}

// remember takes note of the key that an answer must have. Without one the check ends.
func (s *session) remember(a answer) created {
	key := created{body: a.body, at: s.clock.Now()}
	key.id, _ = a.body["id"].(string)
	key.name, _ = a.body["name"].(string)
	key.secret = s.secretIn(a)
	if key.id != "" {
		s.made = append(s.made, key)
	}
	s.need(a.status == http.StatusCreated && key.id != "" && key.secret != "")
	return key
}

// secretIn takes note of the secret that an answer must show, in clear.
func (s *session) secretIn(a answer) string {
	secret, _ := a.body["secret"].(string)
	if sealed, ok := a.body["sealed_secret"]; ok {
		s.fail("%s: sealed_secret is %v without a recipient", a.about, sealed)
	}
	if s.keepSecret(secret); secret == "" && a.status < http.StatusBadRequest {
		s.fail("%s: the answer has no secret", a.about)
	}
	return secret
}

func (s *session) keepSecret(secret string) {
	if secret != "" {
		s.secrets = append(s.secrets, secret)
	}
}

// rotate gives a key a new secret and returns the key with it. Without one the check ends. The body may be empty.
func (s *session) rotate(key created, body string) created { return s.rotateAs("", key, body) }

// rotateAs is rotate with another key's secret.
func (s *session) rotateAs(secret string, key created, body string) created {
	a := s.want(http.StatusOK, request{operation: "rotateApiKey", key: key.id, secret: secret, body: body})
	key.body = a.body
	key.secret = s.secretIn(a)
	s.need(a.status == http.StatusOK && key.secret != "")
	return key
}

// accepted checks that the secret of a key with keys:read is accepted.
func (s *session) accepted(id, secret, why string) {
	s.want(http.StatusOK, request{operation: "getApiKey", key: id, secret: secret, why: why})
}

// rejected checks that a secret is refused.
func (s *session) rejected(id, secret, why string) {
	s.want(http.StatusUnauthorized, request{operation: "getApiKey", key: id, secret: secret, why: why})
}

// get returns a key as it is now, without its last use.
func (s *session) get(id, why string) map[string]any {
	return without(s.want(http.StatusOK, request{operation: "getApiKey", key: id, why: why}).body, "last_used_at", "last_used_from")
}

// same checks that two keys are equal except for their secret and last use.
func (s *session) same(why string, got, want map[string]any) {
	ignored := []string{"secret", "sealed_secret", "last_used_at", "last_used_from", "rotated_at"} // the last one has a check of its own
	got, want = without(got, ignored...), without(want, ignored...)
	if !reflect.DeepEqual(got, want) {
		s.fail("%s: the key is %v, want %v", why, got, want)
	}
}

func without(body map[string]any, names ...string) map[string]any {
	rest := make(map[string]any)
	for k, v := range body {
		if !slices.Contains(names, k) {
			rest[k] = v
		}
	}
	return rest
}

// stamp parses a time in an answer. It returns the zero time for invalid values.
func stamp(value any) time.Time {
	text, _ := value.(string)
	parsed, err := apikey.ParseTimestamp(text)
	if err != nil {
		return time.Time{}
	}
	return parsed.Time()
}

// expire makes a key expire: it moves the expiry close to now and waits. If the key does not expire, the check ends.
func (s *session) expire(key created) {
	for lead := 250 * time.Millisecond; lead < time.Minute; lead *= 4 {
		// The service's clock counts; created_at shows it.
		end := stamp(key.body["created_at"]).Add(s.clock.Now().Sub(key.at) + lead)
		moved, err := s.send(request{operation: "updateApiKey", key: key.id,
			body: fields{"expires_at": apikey.Timestamp(end).String()}.json()})
		if err == nil && moved.status == http.StatusBadRequest {
			continue // we were too slow
		}
		for range 300 {
			s.pause(lead / 2)
			if found, err := s.send(request{operation: "getApiKey", key: key.id}); err != nil ||
				found.status != http.StatusOK || found.body["status"] != "ACTIVE" {
				break
			}
		}
		break
	}
	if status := s.get(key.id, "after its end")["status"]; status != "EXPIRED" {
		s.abort("a key whose expires_at has passed is %v", status)
	}
}

// cleanUp revokes the keys that this run created, even if its context has ended.
func (s *session) cleanUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), time.Minute)
	defer cancel()
	s.ctx = ctx
	for _, key := range s.made {
		_, _ = s.send(request{operation: "revokeApiKey", key: key.id}) // nothing can be done about an error
	}
}
