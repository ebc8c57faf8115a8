package conformance

import (
	"net/http"
	"reflect"
)

func etagChecks() []check {
	const group = "etags"
	return []check{
		{group, "if-match", "a change with the ETag of an earlier state is refused, and one with the current ETag is made", needWriteKey, staleETags},
		{group, "state", "the ETag changes with the key, and not with its use", needWriteKey, statesOfETags},
		{group, "rotated-at", "rotated_at is when the key was last rotated", needWriteKey, rotationTimes},
	}
}

// changesOf are all changes of a key, each on a condition.
func changesOf(key created, etag string) []request {
	header := http.Header{"If-Match": {etag}}
	return []request{
		{operation: "updateApiKey", key: key.id, body: `{"metadata":{"plan":"other"}}`, header: header},
		{operation: "rotateApiKey", key: key.id, body: "{}", header: header},
		{operation: "revokeApiKey", key: key.id, header: header},
	}
}

func staleETags(s *session) {
	made := s.want(http.StatusCreated, request{operation: "createApiKey", body: s.keyBody().json()})
	key := s.remember(made)
	stale := made.header.Get("ETag")
	changed := s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: `{"metadata":{"plan":"pro"}}`})
	for _, etag := range []string{stale, `"none"`, "W/" + changed.header.Get("ETag")} {
		for _, r := range changesOf(key, etag) {
			r.why = "If-Match: " + etag
			s.wantCode(http.StatusPreconditionFailed, "KEY_CHANGED", r)
		}
	}
	s.same("after changes with a stale ETag", s.get(key.id, "after changes with a stale ETag"), changed.body)
	current := changed.header.Get("ETag")
	for i, why := range []string{"the current ETag", "the current ETag among others", "If-Match: *"} {
		r := changesOf(key, []string{current, `"other", ` + current, "*"}[i])[i]
		r.why = why
		current = s.want(http.StatusOK, r).header.Get("ETag")
	}
}

func statesOfETags(s *session) {
	key := s.reader()
	read := func() string {
		return s.want(http.StatusOK, request{operation: "getApiKey", key: key.id}).header.Get("ETag")
	}
	before := read()
	s.accepted(key.id, key.secret, "for an ETag")
	if after := read(); after != before || before == "" {
		s.fail("the ETag is %q, and %q after the key was used", before, after)
	}
	for _, r := range changesOf(key, "*") {
		changed := s.want(http.StatusOK, r).header.Get("ETag")
		if after := read(); changed == before || after != changed {
			s.fail("%s: the ETag is %q, was %q before, and is %q when the key is read", r.operation, changed, before, after)
		}
		before = changed
	}
}

func rotationTimes(s *session) {
	key := s.reader()
	if at, there := key.body["rotated_at"]; there {
		s.fail("a new key has rotated_at %v", at)
	}
	rotated := s.rotate(key, "{}")
	at, read := rotated.body["rotated_at"], s.get(key.id, "after its rotation")["rotated_at"]
	if !reflect.DeepEqual(at, read) || stamp(at).Before(stamp(key.body["created_at"])) || stamp(at).IsZero() {
		s.fail("after a rotation rotated_at is %v, and %v when the key is read", at, read)
	}
}
