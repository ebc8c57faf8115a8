package conformance

import (
	"net/http"
	"strconv"
	"time"
)

func leakChecks() []check {
	const group = "leaks"
	return []check{
		{group, "current-secret", "a report of a key's secret revokes the key, and needs no credentials", needWriteKey, leakedKeys},
		{group, "old-secret", "a report of an old secret ends its grace and keeps the key", needWriteKey, leakedOldSecrets},
		{group, "unknown-secret", "a report of an unknown secret has no effect and gets the same answer", needWriteKey, uselessReports},
		{group, "invalid", "an invalid report is refused", needWriteKey, badReports},
		{group, "secret-scanning", "GitHub's secret scanning takes nothing without a valid signature", needWriteKey, unsignedScans},
		{group, "noise", "reports without effect are throttled, effective ones never", needWriteKey, manyReports},
	}
}

// leakReport returns a report of a leaked secret, without credentials.
func leakReport(secret, why string) request {
	return request{operation: "reportLeakedKey", secret: noCredentials, body: fields{"key": secret}.json(), why: why}
}

// reportUseless reports a secret that has no effect. An address that does so often is throttled, and
// other clients may use ours, so a 429 is no finding.
func (s *session) reportUseless(secret, why string) answer {
	a := s.mustSend(leakReport(secret, why))
	if a.status == http.StatusTooManyRequests {
		s.expect(http.StatusTooManyRequests, a)
	} else {
		s.expect(http.StatusAccepted, a)
	}
	return a
}

// reportAndWait is reportUseless, but waits for Retry-After and tries once more.
func (s *session) reportAndWait(secret, why string) answer {
	a := s.reportUseless(secret, why)
	if a.status != http.StatusTooManyRequests {
		return a
	}
	s.pause(s.retryAfter(a))
	return s.want(http.StatusAccepted, leakReport(secret, why+", after the wait that was asked for"))
}

// retryAfter returns Retry-After, which must be set and at most a minute.
func (s *session) retryAfter(a answer) time.Duration {
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 60 {
		s.fail("%s: Retry-After is %q, want 1 to 60", a.about, a.header.Get("Retry-After"))
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func leakedKeys(s *session) {
	key := s.reader()
	s.accepted(key.id, key.secret, "before it is reported")
	s.want(http.StatusAccepted, leakReport(key.secret, "the secret of a key"))
	s.rejected(key.id, key.secret, "after it was reported")
	if got := s.get(key.id, "after its secret was reported"); got["status"] != "REVOKED" || got["revoked_at"] == nil {
		s.fail("a key whose secret was reported is %v, revoked_at %v", got["status"], got["revoked_at"])
	}
	s.wantCode(http.StatusConflict, "KEY_REVOKED", request{operation: "rotateApiKey", key: key.id, why: "a reported key"})

	old := s.reader()
	key = s.rotate(old, `{"grace_seconds":600}`)
	r := leakReport(key.secret, "the current secret in a grace, by somebody with a key")
	r.secret = ""
	s.want(http.StatusAccepted, r)
	s.rejected(key.id, key.secret, "after it was reported")
	s.rejected(key.id, old.secret, "after its successor was reported")
}

func leakedOldSecrets(s *session) {
	old := s.reader()
	key := s.rotate(old, `{"grace_seconds":600}`)
	s.accepted(key.id, old.secret, "in its grace")
	s.want(http.StatusAccepted, leakReport(old.secret, "an old secret in its grace"))
	s.rejected(key.id, old.secret, "after it was reported")
	s.accepted(key.id, key.secret, "after the old one was reported")
	want := without(key.body, "grace_ends_at")
	s.same("after the old secret was reported", s.get(key.id, "after the old secret was reported"), want)

	s.reportUseless(old.secret, "a secret that ended already")
	s.same("after a secret that ended was reported", s.get(key.id, "after a secret that ended was reported"), want)
	s.accepted(key.id, key.secret, "after a secret that ended was reported")
}

func uselessReports(s *session) {
	key := s.reader()
	helpful := s.want(http.StatusAccepted, leakReport(key.secret, "the secret of a key"))
	revoked := s.get(key.id, "after its secret was reported")
	answers := []answer{s.reportAndWait(key.secret, "the secret of a revoked key")}
	for why, secret := range map[string]string{
		"a secret of no key": unknownSecret(), "empty": "", "not ASCII": "ключ\n",
	} {
		answers = append(answers, s.reportUseless(secret, why))
	}
	for _, a := range answers {
		if a.status == http.StatusAccepted && string(a.raw) != string(helpful.raw) {
			s.fail("%s: answered %s, a report that helps is answered %s", a.about, a.raw, helpful.raw)
		}
	}
	s.same("after it was reported again", s.get(key.id, "after it was reported again"), revoked)
}

func badReports(s *session) {
	for why, tt := range map[string]struct {
		field string
		body  fields
	}{
		"no key":              {"key", fields{}},
		"key is null":         {"key", fields{"key": nil}},
		"key is an array":     {"key", fields{"key": []string{"x"}}},
		"an unknown property": {"url", fields{"key": "x", "url": "x"}},
	} {
		s.refuses(tt.field, request{operation: "reportLeakedKey", secret: noCredentials, body: tt.body.json(), why: why})
	}
	s.refuses("body", request{operation: "reportLeakedKey", secret: noCredentials, body: `{"key":"a","key":"b"}`, why: "the key twice"})
	s.refuses("key", request{operation: "reportLeakedKey", secret: noCredentials, body: `{"key":"x"}`, query: "key=x"})
	s.refuses("Content-Type", request{operation: "reportLeakedKey", secret: noCredentials, body: "key=x",
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, why: "a form"})
	r := leakReport("", "more than 64 KiB")
	r.body += padding(maxBody)
	s.want(http.StatusRequestEntityTooLarge, r)
}

// unsignedScans sends what GitHub would, without its private key. A service that receives no secret scanning
// answers 404, and others may use up our address's tries.
func unsignedScans(s *session) {
	key := s.reader()
	const signer, signature, madeUp = "Github-Public-Key-Identifier", "Github-Public-Key-Signature", "MAYCAQECAQE="
	for why, r := range map[string]request{
		"unsigned":                {secret: noCredentials},
		"unsigned, with a key":    {},
		"a made-up signature":     {secret: noCredentials, header: http.Header{signer: {"conformance"}, signature: {madeUp}}},
		"a signature of nobody's": {secret: noCredentials, header: http.Header{signature: {madeUp}}},
	} {
		r.operation, r.why = "reportScannedSecrets", why
		r.body = `[{"token":"` + key.secret + `","type":"conformance","url":"","source":"content"}]`
		a := s.mustSend(r)
		codes := map[int]string{
			http.StatusUnauthorized: "SIGNATURE_INVALID", http.StatusNotFound: "SCANNING_OFF", http.StatusTooManyRequests: "TOO_MANY_REQUESTS",
		}
		if code, ok := codes[a.status]; !ok {
			s.expect(http.StatusUnauthorized, a)
		} else if s.expect(a.status, a); a.body["code"] != code {
			s.fail("%s: code %v, want %s", a.about, a.body["code"], code)
		}
	}
	s.accepted(key.id, key.secret, "after it was reported without a signature")
}

// manyReports sends reports without effect until it is throttled. It runs last, because other
// clients from our address must wait for a moment afterwards.
func manyReports(s *session) {
	key := s.reader()
	for range 200 {
		a := s.mustSend(leakReport("nothing", "again and again"))
		if a.status == http.StatusTooManyRequests {
			s.expect(http.StatusTooManyRequests, a)
			s.retryAfter(a)
			s.want(http.StatusAccepted, leakReport(key.secret, "the secret of a key, amid noise"))
			s.rejected(key.id, key.secret, "after it was reported amid noise")
			return
		}
		s.expect(http.StatusAccepted, a)
	}
	s.fail("200 reports without effect were not throttled")
}
