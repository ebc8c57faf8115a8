// Command ogen runs the program with ogen's client.
package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ogen-go/ogen/ogenerrors"

	api "generators/generated/ogen"
	"generators/program"
)

func main() {
	ctx := context.Background()
	client, err := api.NewClient(program.URL, security{})
	if err != nil {
		panic(err)
	}
	program.Run(program.Calls{
		Create: func(name, owner string, expires time.Time, limited bool) (program.Created, error) {
			body := api.ApiKeyCreate{Name: api.Name(name), Owner: ownerOf(owner), ExpiresAt: expires}
			if limited {
				body.RateLimit = api.NewOptNilRateLimitSetting(api.RateLimitSetting{Limit: 9, WindowSeconds: 60})
			}
			answer, err := client.CreateApiKey(ctx, &body)
			if key, isKey := answer.(*api.ApiKeyWithSecretResponseHeaders); isKey {
				return program.Created{ID: key.Response.ID.String(), Secret: key.Response.Secret.Value}, err
			}
			return program.Created{}, refused(answer, err)
		},
		List: func(owner, cursor string, items int) (keys []program.Found, next string, err error) {
			params := api.ListApiKeysParams{Owner: ownerOf(owner), ItemsPerPage: api.NewOptInt32(int32(items))}
			if cursor != "" {
				params.Cursor = api.NewOptString(cursor)
			}
			answer, err := client.ListApiKeys(ctx, params)
			if err != nil {
				return nil, "", err
			}
			page, isPage := answer.(*api.ApiKeyListResponseHeaders)
			if !isPage {
				return nil, "", refused(answer, nil)
			}
			for _, key := range page.Response.Data {
				keys = append(keys, foundIn(key))
			}
			return keys, page.Response.Pagination.NextCursor.Or(""), nil
		},
		Get: func(name, owner string) (program.Found, error) {
			return found(client.GetApiKey(ctx, api.GetApiKeyParams{KeyName: name, Owner: ownerOf(owner)}))
		},
		RemoveRateLimit: func(name string) (program.Found, error) {
			var body api.ApiKeyUpdate
			body.RateLimit.SetToNull()
			return found(client.UpdateApiKey(ctx, &body, api.UpdateApiKeyParams{KeyName: name}))
		},
		Rotate: func(name string) (program.Created, error) {
			answer, err := client.RotateApiKey(ctx, api.OptApiKeyRotate{}, api.RotateApiKeyParams{KeyName: name})
			if key, isKey := answer.(*api.RotateApiKeyOKHeaders); isKey {
				return program.Created{ID: key.Response.ID.String(), Secret: key.Response.Secret.Value}, err
			}
			return program.Created{}, refused(answer, err)
		},
		Revoke: func(name, owner string) (program.Found, error) {
			return found(client.RevokeApiKey(ctx, api.RevokeApiKeyParams{KeyName: name, Owner: ownerOf(owner)}))
		},
		Verify: func(secret string) (string, error) {
			answer, err := client.VerifyApiKey(ctx, &api.VerifyRequest{Key: secret})
			if decision, isDecision := answer.(*api.VerifyResponseHeaders); isDecision {
				return string(decision.Response.Code), err
			}
			return "", refused(answer, err)
		},
		Introspect: func(secret string) (bool, error) {
			answer, err := client.IntrospectToken(ctx, &api.IntrospectionRequest{Token: secret})
			if token, isToken := answer.(*api.IntrospectionResponseHeaders); isToken {
				return token.Response.Active, err
			}
			return false, refused(answer, err)
		},
	})
}

func ownerOf(owner string) (o api.OptOwner) {
	if owner != "" {
		o.SetTo(api.Owner(owner))
	}
	return o
}

func found[T any](answer T, err error) (program.Found, error) {
	key, isKey := any(answer).(*api.ApiKeyResponseHeaders)
	if !isKey {
		return program.Found{}, refused(answer, err)
	}
	return foundIn(key.Response), err
}

func foundIn(key api.ApiKeyResponse) program.Found {
	return program.Found{
		ID: key.ID.String(), Name: string(key.Name), Owner: string(key.Owner), Status: string(key.Status), Limited: key.RateLimit.Set,
	}
}

// refused reads an error, of which ogen makes a type for each status.
func refused(answer any, err error) error {
	if err != nil {
		return err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	var read struct{ Response api.ErrorResponse }
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	return program.Refused{Status: int(read.Response.Status), Code: read.Response.Code}
}

// security sends the key as x-api-key.
type security struct{}

func (security) ApiKeyAuth(context.Context, api.OperationName) (api.ApiKeyAuth, error) {
	return api.ApiKeyAuth{APIKey: program.Key}, nil
}

func (security) BasicAuth(context.Context, api.OperationName) (api.BasicAuth, error) {
	return api.BasicAuth{}, ogenerrors.ErrSkipClientSecurity
}

func (security) BearerAuth(context.Context, api.OperationName) (api.BearerAuth, error) {
	return api.BearerAuth{}, ogenerrors.ErrSkipClientSecurity
}
