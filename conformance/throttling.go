package conformance

import (
	"net/http"
	"time"
)

func throttlingChecks() []check {
	const group = "throttling"
	return []check{
		{group, "no-lockout", "a valid key passes despite many failures from its address", needNothing, noLockout},
	}
}

// maxWait is how long a call may have to wait in total. Other clients may also fail from our
// address.
const maxWait = 2 * time.Minute

// throttled reports whether a call that should be answered 401 came after too many failures.
func (a answer) throttled() bool {
	return a.body["code"] == "TOO_MANY_REQUESTS" && (a.status == http.StatusTooManyRequests ||
		a.operation == "forwardAuth" && a.status == http.StatusForbidden) // some gateways do not know 429
}

// sendAndWait sends a request that should be answered 401. If it is throttled, it waits for
// Retry-After and sends it again.
func (s *session) sendAndWait(r request) (answer, error) {
	for waited := time.Duration(0); ; {
		a, err := s.send(r)
		if err != nil || !a.throttled() {
			return a, err
		}
		s.expect(a.status, a)
		wait := s.retryAfter(a)
		if waited += wait; wait == 0 || waited > maxWait || s.ctx.Err() != nil {
			return a, nil
		}
		s.pause(wait)
	}
}

// noLockout fails often and without pauses. It runs last, because failing calls from our address
// must wait for a moment afterwards.
func noLockout(s *session) {
	unknown := unknownSecret()
	for range 20 {
		a, err := s.send(request{operation: "listApiKeys", secret: unknown, why: "again and again"})
		switch {
		case err != nil:
			s.fail("%s", err)
		case a.throttled():
			s.expect(http.StatusTooManyRequests, a)
			s.retryAfter(a)
		default:
			s.expect(http.StatusUnauthorized, a)
		}
		s.want(http.StatusOK, request{operation: "listApiKeys", why: "a good key amid bad ones"})
	}
}
