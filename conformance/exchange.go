package conformance

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// send sends a request exactly as written and reads the whole answer.
func (s *session) send(r request) (answer, error) {
	a, err := s.exchange(r)
	if err == nil {
		s.exchanges++
	}
	return a, err
}

// mustSend is send. Without an answer the check ends.
func (s *session) mustSend(r request) answer {
	a, err := s.send(r)
	if err != nil {
		s.abort("%s", err)
	}
	return a
}

// sendAtOnce sends a request several times at the same moment.
func (s *session) sendAtOnce(times int, r request) []answer {
	answers, errs := make([]answer, times), make([]error, times)
	var all sync.WaitGroup
	for i := range times {
		all.Go(func() { answers[i], errs[i] = s.exchange(r) })
	}
	all.Wait()
	s.exchanges += times
	if err := errors.Join(errs...); err != nil {
		s.fail("%s", err)
		return nil
	}
	return answers
}

// exchange is send, safe for concurrent use.
func (s *session) exchange(r request) (answer, error) {
	method, path := r.method, r.path
	if op, ok := s.contract.operations[r.operation]; ok {
		path = strings.NewReplacer("{key_name}", r.key, "{owner}", r.key, "{webhook_id}", r.key, "{event_id}", cmp.Or(r.event, "none")).Replace(op.path) + r.below
		if method == "" {
			method = op.method
		}
	}
	about := method + " " + path
	if r.query != "" {
		about += "?" + r.query
	}
	if r.why != "" {
		about += " (" + r.why + ")"
	}
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	sent, err := http.NewRequestWithContext(s.ctx, method, s.base.String(), body)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", about, err)
	}
	// Opaque keeps net/http from cleaning up the path.
	sent.URL.Opaque = "//" + s.base.Host + s.base.EscapedPath() + path
	sent.URL.RawQuery = r.query
	s.setHeader(sent, r)
	got, err := s.client.Do(sent)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // about says the rest
	}
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", about, err)
	}
	defer got.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("%s: reading the answer: %w", about, err)
	}
	a := answer{
		operation: r.operation, method: method, path: path, credentials: credentials(sent.Header),
		status: got.StatusCode, header: got.Header, raw: raw, about: about,
	}
	_ = json.Unmarshal(raw, &a.body) // the contract reports invalid JSON
	return a, nil
}

func (s *session) setHeader(sent *http.Request, r request) {
	if r.body != "" {
		media := s.contract.operations[r.operation].media
		if media == "" {
			media = "application/json"
		}
		sent.Header.Set("Content-Type", media)
	}
	switch r.secret {
	case noCredentials:
	case "":
		sent.Header.Set("X-Api-Key", s.secret)
	default:
		sent.Header.Set("X-Api-Key", r.secret)
	}
	for name, values := range r.header {
		sent.Header[name] = values
	}
}
