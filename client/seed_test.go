package client_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"apikeyd/client/internal/seedapi"
	servertest "apikeyd/internal/testkit/server"
)

// A client generated from the first contract, internal/contracts/seed.yaml, works with today's
// service.
func TestClientOfTheSeedContract(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	c, err := seedapi.NewClientWithResponses(k.URL, seedapi.WithHTTPClient(k.Client))
	must(t, err)
	with := func(secret string) seedapi.RequestEditorFn {
		return func(_ context.Context, r *http.Request) error {
			if secret != "" {
				r.Header.Set("x-api-key", secret)
			}
			return nil
		}
	}
	create := func(name, secret string) *seedapi.PostV1ApiKeysResponse {
		t.Helper()
		answer, err := c.PostV1ApiKeysWithResponse(t.Context(), seedapi.ApiKeyCreate{
			Name: name, ExpiresAt: inAnHour(),
		}, with(secret))
		must(t, err)
		return answer
	}

	// A key made with one secret makes the next: the seed contract is enough.
	secret := k.secret
	for _, name := range []string{"first", "second"} {
		created := create(name, secret).JSON201
		if created == nil {
			t.Fatal("no 201 was read")
		}
		if created.Id == nil || created.Name == nil || created.Prefix == nil || created.Secret == nil ||
			created.Status == nil || created.CreatedAt == nil || created.ExpiresAt == nil {
			t.Fatalf("a field of the first contract is missing: %+v", created)
		}
		if *created.Name != name || !created.Status.Valid() || *created.Status != seedapi.ApiKeyWithSecretResponseStatusACTIVE ||
			created.LastUsedAt != nil || time.Until(*created.ExpiresAt) > time.Hour || time.Since(*created.CreatedAt) > time.Minute {
			t.Errorf("%+v", created)
		}
		secret = *created.Secret
	}

	bad := create("", secret)
	if bad.JSON400 == nil || *bad.JSON400.Status != 400 || *bad.JSON400.Message == "" {
		t.Errorf("status %d, read as %+v", bad.StatusCode(), bad.JSON400)
	}
	for _, secret := range []string{"", "wrong"} {
		denied := create("n", secret)
		if denied.JSON401 == nil || *denied.JSON401.Status != 401 || *denied.JSON401.Message == "" {
			t.Errorf("status %d, read as %+v", denied.StatusCode(), denied.JSON401)
		}
	}
}
