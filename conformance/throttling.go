package conformance

import (
	"net/http"
	"time"
)

func slowDownChecks() []check {
	const group = "slow-down"
	return []check{
		{group, "a good key passes, however many bad ones came from its address", reading, noLockout},
	}
}

// patience is how long a call may be asked to wait, all in all: others may fail from our
// address too.
const patience = 2 * time.Minute

// slowed reports whether a call that should be 401 came after too many of them.
func (a answer) slowed() bool {
	return a.body["code"] == "TOO_MANY_REQUESTS" && (a.status == http.StatusTooManyRequests ||
		a.operation == "forwardAuth" && a.status == http.StatusForbidden) // for gateways that know no 429
}

// sendPatiently sends a request that should be 401, again after the wait that is asked for.
func (s *session) sendPatiently(r request) (answer, error) {
	for waited := time.Duration(0); ; {
		a, err := s.send(r)
		if err != nil || !a.slowed() {
			return a, err
		}
		s.judge(a.status, a)
		wait := s.retryAfter(a)
		if waited += wait; wait == 0 || waited > patience || s.ctx.Err() != nil {
			return a, nil
		}
		s.pause(wait)
	}
}

// noLockout fails often, and with pauses for nobody. It comes last: calls from our address
// that fail have to wait for a moment then.
func noLockout(s *session) {
	unknown := unknownSecret()
	for range 20 {
		a, err := s.send(request{operation: "listApiKeys", secret: unknown, why: "again and again"})
		switch {
		case err != nil:
			s.fail("%s", err)
		case a.slowed():
			s.judge(http.StatusTooManyRequests, a)
			s.retryAfter(a)
		default:
			s.judge(http.StatusUnauthorized, a)
		}
		s.want(http.StatusOK, request{operation: "listApiKeys", why: "a good key amid bad ones"})
	}
}
