package handlers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/gen"
	"apikeyd/store"
)

// BenchmarkShortcuts compares whole requests, except for the network, with and without one of the shortcuts. It
// alternates batches of both and compares their medians, so that a busy machine slows both.
func BenchmarkShortcuts(b *testing.B) {
	s, who, secret := newBenchmark(b)
	body := fmt.Sprintf(`{"key":%q,"scopes":["datasets:read"]}`, secret.Reveal())
	short := s.benchmarked(b, s, nil, nil)
	for _, bb := range []struct {
		name, method, path, body string
		without                  http.Handler
	}{
		{"plain body", "POST", "/v1/verify", body, s.benchmarked(b, s, func(all guards) {
			all["verifyApiKey"] = slices.Delete(slices.Clone(all["verifyApiKey"]), 1, 2)
		}, nil)},
		{"encoding one key", "GET", "/v1/api-keys/" + who.ID.String(), "", s.benchmarked(b, reflecting{s}, nil, nil)},
		{"encoding 20 keys", "GET", "/v1/api-keys", "", s.benchmarked(b, reflecting{s}, nil, nil)},
		{"identity headers", "GET", "/v1/forward-auth?scope=datasets:read", "", s.benchmarked(b, reflecting{s}, nil, nil)},
		{"timer of verify", "POST", "/v1/verify", body, s.benchmarked(b, s, nil, withTimer)},
		{"timer of forward-auth", "GET", "/v1/forward-auth?scope=datasets:read", "", s.benchmarked(b, s, nil, withTimer)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			request := httptest.NewRequestWithContext(b.Context(), bb.method, bb.path, http.NoBody)
			request.Header.Set("X-Api-Key", secret.Reveal())
			request.Header.Set("Content-Type", "application/json")
			batch := func(h http.Handler) time.Duration {
				start := time.Now()
				for range 50 {
					r := request.WithContext(request.Context())
					if bb.body != "" {
						r.Body, r.ContentLength = io.NopCloser(strings.NewReader(bb.body)), int64(len(bb.body))
					}
					answer := httptest.NewRecorder()
					if h.ServeHTTP(answer, r); answer.Code != http.StatusOK {
						b.Fatal(answer.Code, answer.Body)
					}
				}
				return time.Since(start) / 50
			}
			var with, without []time.Duration
			for b.Loop() {
				with, without = append(with, batch(short)), append(without, batch(bb.without))
			}
			slices.Sort(with)
			slices.Sort(without)
			fast, slow := with[len(with)/2], without[len(without)/2]
			b.ReportMetric(float64(slow), "ns/plain-request")
			b.ReportMetric(100*(1-float64(fast)/float64(slow)), "%saved")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// benchmarked returns the whole service, with changed guards or another middleware.
func (s *Server) benchmarked(b *testing.B, api gen.StrictServerInterface, change func(guards), last echo.MiddlewareFunc) http.Handler {
	b.Helper()
	all, err := s.newGuards()
	must(b, err)
	if change != nil {
		change(all)
	}
	h, err := s.handler(api, all)
	must(b, err)
	if last != nil {
		h.(*echo.Echo).Use(last)
	}
	return h
}

// withTimer starts the timer of each request's deadline, as context.WithTimeout does.
func withTimer(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Request().Context().Done()
		return next(c)
	}
}

// reflecting answers about keys with the generated types.
type reflecting struct{ *Server }

func (r reflecting) GetApiKey(ctx context.Context, request gen.GetApiKeyRequestObject) (gen.GetApiKeyResponseObject, error) {
	ref, err := reference(callerFrom(ctx).key, request.KeyName, nil)
	if err != nil {
		return nil, err
	}
	found, err := r.Verifier.Keys.Key(ctx, ref)
	if err != nil {
		return nil, err
	}
	return gen.GetApiKey200JSONResponse{Body: *shown(found.Whole(), r.Now())}, nil
}

func (r reflecting) ListApiKeys(ctx context.Context, _ gen.ListApiKeysRequestObject) (gen.ListApiKeysResponseObject, error) {
	now := r.Now()
	found, err := r.Verifier.Keys.Page(ctx, store.Query{Owner: callerFrom(ctx).key.Owner, At: now, Limit: defaultItemsPerPage})
	if err != nil {
		return nil, err
	}
	answer := gen.ApiKeyListResponse{Pagination: gen.Pagination{CurrentPage: 1, ItemsPerPage: defaultItemsPerPage, TotalPages: 1}}
	for _, entry := range found.Entries {
		answer.Data = append(answer.Data, *shown(entry.Whole(), now))
	}
	return gen.ListApiKeys200JSONResponse{Body: answer}, nil
}

func (reflecting) ForwardAuth(ctx context.Context, _ gen.ForwardAuthRequestObject) (gen.ForwardAuthResponseObject, error) {
	key := callerFrom(ctx).key
	id, name, owner, scopes := key.ID.String(), url.PathEscape(key.Name), url.PathEscape(key.Owner), key.Scopes.String()
	return gen.ForwardAuth200Response{Headers: gen.ForwardAuth200ResponseHeaders{
		XApiKeyId: &id, XApiKeyName: &name, XApiKeyOwner: &owner, XApiKeyScopes: &scopes,
	}}, nil
}
