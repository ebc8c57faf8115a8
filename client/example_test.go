package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"apikeyd/client"
)

func Example() {
	service := startService() // yours runs somewhere already
	defer service.Stop()

	ctx := context.Background()
	c, err := client.New(service.URL, service.Secret, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	created, err := c.ForOwner("customer-42").Create(ctx, client.NewKey{
		Name:      "ci-pipeline",
		ExpiresAt: time.Now().AddDate(1, 0, 0),
		Scopes:    &[]string{"datasets:read"},
	})
	if err != nil {
		log.Fatal(err)
	}
	secret := created.Secret.Reveal() // give it to the customer: it cannot be read again
	fmt.Println(created.Name, created.Scopes, created.Status)
	fmt.Println(created.Secret, len(secret))

	revoked, err := c.Revoke(ctx, created.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(revoked.Name, revoked.Status)

	// Output:
	// ci-pipeline [datasets:read] ACTIVE
	// [redacted] 63
	// ci-pipeline REVOKED
}

func ExampleClient_Create() {
	service := startService()
	defer service.Stop()

	c, err := client.New(service.URL, service.Secret, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	draft := client.NewKey{Name: "ci-pipeline", ExpiresAt: time.Now().Add(time.Hour)}
	for range 2 {
		created, err := c.Create(ctx, draft)
		switch client.CodeOf(err) {
		case client.CodeNameTaken:
			fmt.Println("the name is taken")
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("created", created.Name, "for", created.Owner, "with", created.Scopes)
	}

	// Output:
	// created ci-pipeline for admin with [keys:read keys:write]
	// the name is taken
}

func ExampleClient_Update() {
	service := startService()
	defer service.Stop()

	c, err := client.New(service.URL, service.Secret, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	_, err = c.Create(ctx, client.NewKey{Name: "ci", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		log.Fatal(err)
	}
	// Only what is set changes.
	changed, err := c.Update(ctx, "ci", client.Change{
		Name:      new("ci/main"),
		ExpiresAt: new(time.Date(2040, 1, 31, 12, 0, 0, 0, time.UTC)),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(changed.Name, changed.ExpiresAt, changed.Scopes)

	// Output:
	// ci/main 2040-01-31 12:00:00 +0000 UTC [keys:read keys:write]
}

func ExampleClient_List() {
	service := startService()
	defer service.Stop()

	c, err := client.New(service.URL, service.Secret, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, name := range []string{"first", "second", "third"} {
		_, err := c.Create(ctx, client.NewKey{Name: name, ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			log.Fatal(err)
		}
	}
	for key, err := range c.List(ctx, client.ListOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		if key.Name == "first" {
			break // no further page is requested
		}
		fmt.Println(key.Name)
	}

	// Output:
	// third
	// second
}

func ExampleError() {
	service := startService()
	defer service.Stop()

	c, err := client.New(service.URL, service.Secret, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Create(context.Background(), client.NewKey{
		Name:      "ci-pipeline",
		ExpiresAt: time.Now().Add(-time.Hour),
	})
	if refused, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(refused.Status, refused.Code)
		for _, detail := range refused.Details {
			fmt.Println(detail.Field, detail.Message)
		}
		log.Println("ask the operator about request", refused.RequestID)
	}

	// Output:
	// 400 INVALID_REQUEST
	// expires_at must be in the future
}
