package client_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/client"
)

// Three lines protect a handler: a client, a guard, and the required scope.
func ExampleGuard() {
	service := startService()
	defer service.Stop()

	datasets := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := client.KeyFrom(r.Context())
		fmt.Fprintf(w, "the datasets of %s", key.Owner)
	})

	c, err := client.New(service.URL, service.Secret, client.Options{}) // its key needs keys:verify
	if err != nil {
		log.Fatal(err)
	}
	guard := client.NewGuard(c, client.GuardOptions{})
	mux := http.NewServeMux()
	mux.Handle("GET /datasets", guard.Require("datasets:read")(datasets))

	visit(mux, c)

	// Output:
	// without a key: 401 CREDENTIAL_MISSING
	// with a good one: 200 the datasets of customer-42
	// without the scope: 403 INSUFFICIENT_SCOPE
	// once it is revoked: 401 CREDENTIAL_REVOKED
}

// The same with Echo.
func ExampleGuard_echo() {
	service := startService()
	defer service.Stop()

	datasets := func(c echo.Context) error {
		key, _ := client.KeyFrom(c.Request().Context())
		return c.String(http.StatusOK, "the datasets of "+key.Owner)
	}

	c, err := client.New(service.URL, service.Secret, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	guard := client.NewGuard(c, client.GuardOptions{})
	e := echo.New()
	e.GET("/datasets", datasets, echo.WrapMiddleware(guard.Require("datasets:read")))

	visit(e, c)

	// Output:
	// without a key: 401 CREDENTIAL_MISSING
	// with a good one: 200 the datasets of customer-42
	// without the scope: 403 INSUFFICIENT_SCOPE
	// once it is revoked: 401 CREDENTIAL_REVOKED
}

// visit serves the handler of an example and calls it as customers would.
func visit(handler http.Handler, c *client.Client) {
	server := httptest.NewServer(handler)
	defer server.Close()
	try := func(what, secret string) {
		request, err := http.NewRequest(http.MethodGet, server.URL+"/datasets", nil)
		if err != nil {
			log.Fatal(err)
		}
		if secret != "" {
			request.Header.Set("Authorization", "Bearer "+secret)
		}
		answer, err := server.Client().Do(request)
		if err != nil {
			log.Fatal(err)
		}
		defer answer.Body.Close()
		fmt.Printf("%s: %d %s\n", what, answer.StatusCode, textOrCode(answer))
	}
	ctx := context.Background()
	create := func(scope string) client.CreatedKey {
		created, err := c.ForOwner("customer-42").Create(ctx, client.NewKey{
			Name: scope, ExpiresAt: time.Now().Add(time.Hour), Scopes: &[]string{scope},
		})
		if err != nil {
			log.Fatal(err)
		}
		return created
	}
	reader, writer := create("datasets:read"), create("datasets:write")
	try("without a key", "")
	try("with a good one", reader.Secret.Reveal())
	try("without the scope", writer.Secret.Reveal())
	if _, err := c.Revoke(ctx, reader.ID); err != nil {
		log.Fatal(err)
	}
	try("once it is revoked", reader.Secret.Reveal())
}

func ExampleClient_Verify() {
	service := startService()
	defer service.Stop()

	c, err := client.New(service.URL, service.Secret, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := c.ForOwner("customer-42").Create(ctx, client.NewKey{
		Name: "ci", ExpiresAt: time.Now().Add(time.Hour), Scopes: &[]string{"datasets:read"},
		RateLimit: &client.RateLimit{Limit: 2, Window: time.Hour},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, scope := range []string{"datasets:read", "datasets:write", "datasets:read", "datasets:read"} {
		v, err := c.Verify(ctx, created.Secret.Reveal(), scope)
		if err != nil {
			log.Fatal(err) // nothing is known about the key
		}
		fmt.Println(v.Key.Owner, scope, v.Code)
	}

	// Output:
	// customer-42 datasets:read VALID
	// customer-42 datasets:write INSUFFICIENT_SCOPE
	// customer-42 datasets:read VALID
	// customer-42 datasets:read RATE_LIMITED
}

func ExampleClient_Rotate() {
	service := startService()
	defer service.Stop()

	c, err := client.New(service.URL, service.Secret, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	old, err := c.Create(ctx, client.NewKey{Name: "ci", ExpiresAt: time.Now().AddDate(1, 0, 0)})
	if err != nil {
		log.Fatal(err)
	}
	// Both secrets work for a day: time to deploy the new one everywhere.
	rotated, err := c.Rotate(ctx, "ci", 24*time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	for _, secret := range []client.Secret{old.Secret, rotated.Secret} {
		v, err := c.Verify(ctx, secret.Reveal())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(v.Key.Name, v.Code, time.Until(v.Key.GraceEndsAt).Round(time.Hour))
	}

	// Output:
	// ci VALID 24h0m0s
	// ci VALID 24h0m0s
}
