// Command oapi runs the program with oapi-codegen's client.
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/oapi-codegen/nullable"

	api "generators/generated/oapi"
	"generators/program"
)

func main() {
	ctx := context.Background()
	client, err := api.NewClientWithResponses(program.URL, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("x-api-key", program.Key)
		return nil
	}))
	if err != nil {
		panic(err)
	}
	program.Run(program.Calls{
		Create: func(name, owner string, expires time.Time, limited bool) (program.Created, error) {
			body := api.ApiKeyCreate{Name: name, Owner: optional(owner), ExpiresAt: expires}
			if limited {
				body.RateLimit = nullable.NewNullableWithValue(api.RateLimitSetting{Limit: 9, WindowSeconds: 60})
			}
			answer, err := client.CreateApiKeyWithResponse(ctx, body)
			if err != nil || answer.JSON201 == nil {
				return program.Created{}, refused(err, answer.Body)
			}
			return program.Created{ID: answer.JSON201.Id.String(), Secret: *answer.JSON201.Secret}, nil
		},
		List: func(owner, cursor string, items int) (keys []program.Found, next string, err error) {
			count := int32(items)
			answer, err := client.ListApiKeysWithResponse(ctx, &api.ListApiKeysParams{Owner: optional(owner), Cursor: optional(cursor), ItemsPerPage: &count})
			if err != nil || answer.JSON200 == nil {
				return nil, "", refused(err, answer.Body)
			}
			for _, key := range answer.JSON200.Data {
				found, _ := found(&key, nil)
				keys = append(keys, found)
			}
			if answer.JSON200.Pagination.NextCursor != nil {
				next = *answer.JSON200.Pagination.NextCursor
			}
			return keys, next, nil
		},
		Get: func(name, owner string) (program.Found, error) {
			answer, err := client.GetApiKeyWithResponse(ctx, name, &api.GetApiKeyParams{Owner: optional(owner)})
			return found(answer.JSON200, refused(err, answer.Body))
		},
		RemoveRateLimit: func(name string) (program.Found, error) {
			answer, err := client.UpdateApiKeyWithResponse(ctx, name, nil, api.ApiKeyUpdate{RateLimit: nullable.NewNullNullable[api.RateLimitSetting]()})
			return found(answer.JSON200, refused(err, answer.Body))
		},
		Rotate: func(name string) (program.Created, error) {
			// The call with a body of its type would send one; this sends none.
			answer, err := client.RotateApiKeyWithBodyWithResponse(ctx, name, nil, "application/json", nil)
			if err != nil || answer.JSON200 == nil {
				return program.Created{}, refused(err, answer.Body)
			}
			return program.Created{ID: answer.JSON200.Id.String(), Secret: *answer.JSON200.Secret}, nil
		},
		Revoke: func(name, owner string) (program.Found, error) {
			answer, err := client.RevokeApiKeyWithResponse(ctx, name, &api.RevokeApiKeyParams{Owner: optional(owner)})
			return found(answer.JSON200, refused(err, answer.Body))
		},
		Verify: func(secret string) (string, error) {
			answer, err := client.VerifyApiKeyWithResponse(ctx, api.VerifyRequest{Key: secret})
			if err != nil || answer.JSON200 == nil {
				return "", refused(err, answer.Body)
			}
			return string(answer.JSON200.Code), nil
		},
		Introspect: func(secret string) (bool, error) {
			answer, err := client.IntrospectTokenWithFormdataBodyWithResponse(ctx, api.IntrospectionRequest{Token: secret})
			if err != nil || answer.JSON200 == nil {
				return false, refused(err, answer.Body)
			}
			return answer.JSON200.Active, nil
		},
	})
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// refused is the error that a body without the expected answer is.
func refused(err error, body []byte) error {
	if err != nil {
		return err
	}
	var answer api.ErrorResponse
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	return program.Refused{Status: int(answer.Status), Code: answer.Code}
}

func found(key *api.ApiKeyResponse, err error) (program.Found, error) {
	if key == nil {
		return program.Found{}, err
	}
	return program.Found{
		ID: key.Id.String(), Name: key.Name, Owner: key.Owner, Status: string(key.Status), Limited: key.RateLimit != nil,
	}, nil
}
