package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apikeyd/client"
)

// These tests use synctest's clock, so that waits are exact and take no time.

func TestRetries(t *testing.T) {
	t.Parallel()
	const repeatable, always, never = "get, list, update by id, revoke by id, report a leak", "all", "none"
	for _, tt := range []struct {
		name  string
		reply reply
		again string // the calls that are retried
	}{
		{"the service is unavailable", unavailable, always},
		{"the service does not know", says(503, nil, `{"status":503,"code":"OUTCOME_UNKNOWN","message":"m"}`), repeatable},
		{"too many requests", limited, always},
		{"no connection", refused, always},
		{"a broken connection", reset, repeatable},
		{"half an answer", cutShort, repeatable},
		{"a proxy's 502", proxy502, repeatable},
		{"a proxy's 503", proxy503, repeatable},
		{"a proxy's 504", proxy504, repeatable},
		{"a defect", internal, never},
		{"an untrusted certificate", untrusted, never},
		{"refused", says(409, nil, `{"status":409,"code":"NAME_TAKEN","message":"m"}`), never},
		{"a redirect", says(307, http.Header{"Location": {"http://elsewhere.test/"}}, ""), never},
		{"a good status without a key", says(200, nil, "<h1>Log in</h1>"), never},
	} {
		for name, call := range calls {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &script{replies: []reply{tt.reply}}
					err := call(t.Context(), s.client(t, client.Options{}))
					again := tt.again == always || strings.Contains(tt.again, name)
					if again && (err != nil || len(s.at) != 2) || !again && (err == nil || len(s.at) != 1) {
						t.Errorf("%d requests, %v; want a retry: %t", len(s.at), err, again)
					}
				})
			})
		}
	}
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{unavailable, reset, proxy502, limited, unavailable}}
		c := s.client(t, client.Options{})
		_, err := c.Get(t.Context(), "n")
		e := errorIn(t, err, 429, "SOME_CODE") // the last answer
		if e.Message != "slow down" || len(s.at) != 4 {
			t.Fatalf("%v after %d requests", err, len(s.at))
		}
		for i, most := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond} {
			if pause := s.at[i+1] - s.at[i]; pause < most/2 || pause >= most {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, most/2, most)
			}
		}
	})
}

func TestMaxRetries(t *testing.T) {
	t.Parallel()
	for retries, requests := range map[int]int{-1: 1, 0: 4, 1: 2, 20: 21} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			for range 30 {
				s.replies = append(s.replies, unavailable)
			}
			_, err := s.client(t, client.Options{MaxRetries: retries}).Get(t.Context(), "n")
			wantError(t, err, 503, client.CodeUnavailable)
			if len(s.at) != requests {
				t.Errorf("%d requests for MaxRetries %d, want %d", len(s.at), retries, requests)
			}
			if longest := 10 * time.Second; requests > 20 && s.at[20]-s.at[19] > longest {
				t.Errorf("the last pause is %v", s.at[20]-s.at[19])
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value string
		want  time.Duration
		again bool
	}{
		{"2", 2 * time.Second, true},
		{"30", 30 * time.Second, true},
		{"31", 31 * time.Second, false},
		{"99999999999", 365 * 24 * time.Hour, false},
		{"0", 0, true},
		{"-5", 0, true},
		{"soon", 0, true},
		{"a date in 7s", 7 * time.Second, true},
		{"a date in -7s", 0, true},
	} {
		t.Run(tt.value, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				value := tt.value
				if in, found := strings.CutPrefix(value, "a date in "); found {
					d, err := time.ParseDuration(in)
					must(t, err)
					value = time.Now().Add(d).UTC().Format(http.TimeFormat)
				}
				s := &script{replies: []reply{says(503, http.Header{"Retry-After": {value}}, `{"status":503,"code":"UNAVAILABLE","message":"m"}`)}}
				_, err := s.client(t, client.Options{}).Get(t.Context(), "n")
				if !tt.again {
					if e := errorIn(t, err, 503, client.CodeUnavailable); e.RetryAfter != tt.want || len(s.at) != 1 {
						t.Errorf("retry after %v, %d requests", e.RetryAfter, len(s.at))
					}
					return
				}
				must(t, err)
				if pause := s.at[1]; pause < tt.want || pause > tt.want+200*time.Millisecond {
					t.Errorf("waited %v, want %v and a little", pause, tt.want)
				}
			})
		})
	}
}

func TestContextEndsWaiting(t *testing.T) {
	t.Parallel()
	after10 := says(503, http.Header{"Retry-After": {"10"}}, `{"status":503,"code":"UNAVAILABLE","message":"m"}`)
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(3*time.Second, cancel)
			s := &script{replies: []reply{after10}}
			_, err := s.client(t, client.Options{}).Get(ctx, "n")
			if waited := time.Since(s.start); waited != 3*time.Second || len(s.at) != 1 {
				t.Errorf("it took %v and %d requests", waited, len(s.at))
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want the context's error", err)
			}
			wantError(t, err, 503, client.CodeUnavailable)
		})
	})
	t.Run("a deadline that comes first", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			s := &script{replies: []reply{after10}}
			_, err := s.client(t, client.Options{}).Get(ctx, "n")
			wantError(t, err, 503, client.CodeUnavailable)
			if waited := time.Since(s.start); waited != 0 || len(s.at) != 1 {
				t.Errorf("it took %v and %d requests", waited, len(s.at))
			}
		})
	})
	t.Run("before the first attempt", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, call := range calls {
			s := &script{replies: []reply{fails(context.Canceled)}}
			err := call(ctx, s.client(t, client.Options{}))
			if !errors.Is(err, context.Canceled) || len(s.at) > 1 || strings.Contains(err.Error(), "waiting") {
				t.Errorf("%s: %v after %d requests", name, err, len(s.at))
			}
		}
	})
}

// An attempt that hangs times out, and the call is retried.
func TestHangingAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := true
		c := newClient(t, "http://keys.test", "secret", client.Options{HTTPClient: &http.Client{
			Timeout: time.Second,
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if first {
					first = false
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return answer(200, nil, `{"id":"`+keyID+`"}`), nil
			}),
		}})
		start := time.Now()
		_, err := c.Get(t.Context(), "n")
		must(t, err)
		if took := time.Since(start); took < time.Second || took > 1200*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func TestBodyIsSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{unavailable, limited, refused}}
		_, err := s.client(t, client.Options{}).Create(t.Context(), client.NewKey{Name: "n", ExpiresAt: time.Unix(1<<31, 0)})
		must(t, err)
		const want = `{"name":"n","expires_at":"2038-01-19T03:14:08Z"}`
		if len(s.bodies) != 4 {
			t.Fatalf("bodies %q", s.bodies)
		}
		for _, body := range s.bodies {
			if body != want {
				t.Errorf("sent %s, want %s", body, want)
			}
		}
	})
}

// A time that JSON cannot represent is refused before anything is sent.
func TestUnencodableTime(t *testing.T) {
	t.Parallel()
	s := &script{}
	late := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err := s.client(t, client.Options{}).Create(t.Context(), client.NewKey{Name: "n", ExpiresAt: late})
	wantPlain(t, err)
	_, err = s.client(t, client.Options{}).Update(t.Context(), "n", client.Change{ExpiresAt: &late})
	wantPlain(t, err)
	if len(s.at) != 0 {
		t.Errorf("%d requests", len(s.at))
	}
}
