package handlers

import (
	"context"
	"fmt"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/verify"
)

// VerifyApiKey implements the operation verifyApiKey.
func (s *Server) VerifyApiKey(
	ctx context.Context, request gen.VerifyApiKeyRequestObject,
) (gen.VerifyApiKeyResponseObject, error) {
	wanted := or(request.Body.Scopes, nil)
	for _, scope := range wanted {
		if !apikey.IsScope(scope) { // only from the operator: the contract's check refuses it in others
			return nil, apikey.CheckScopes(wanted)
		}
	}
	cost := or(request.Body.Cost, 1)
	if cost < 0 || cost > apikey.MaxCost { // as above
		return nil, apikey.Invalid("cost", fmt.Sprintf("must be a whole number from 0 to %d", apikey.MaxCost))
	}
	result, err := s.Verifier.Admit(ctx, request.Body.Key, verify.Call{Scopes: wanted, Cost: cost})
	if err != nil {
		return nil, err
	}
	s.decided(exchangeOf(ctx), result)
	if result.Code == verify.NotFound {
		return verifyAnswer(result, nil), nil
	}
	return verifyAnswer(result, result.Entry), nil
}

// IntrospectToken implements the operation introspectToken (RFC 7662).
func (s *Server) IntrospectToken(
	ctx context.Context, request gen.IntrospectTokenRequestObject,
) (gen.IntrospectTokenResponseObject, error) {
	result, err := s.Verifier.Verify(ctx, request.Body.Token)
	if err != nil {
		return nil, err
	}
	s.decided(exchangeOf(ctx), result)
	return gen.IntrospectToken200JSONResponse{Body: introspection(result)}, nil
}

func introspection(result verify.Result) gen.IntrospectionResponse {
	if result.Code != verify.Valid {
		return gen.IntrospectionResponse{Active: false} // and nothing else (section 2.2)
	}
	key, end := result.Key, result.Key.ExpiresAt
	if !key.SecretHash.Equal(result.Hash) {
		end = key.GraceEnd(result.At) // the token is an old secret, which ends before its key
	}
	scope, id := key.Scopes.String(), key.ID.String()
	issued, expires := key.CreatedAt.Unix(), end.Unix()
	return gen.IntrospectionResponse{
		Active: true, Scope: &scope, Sub: &key.Owner, ClientId: &id, Username: &key.Name,
		Iat: &issued, Exp: &expires,
	}
}

// decided records a decision for an integrator's API.
func (s *Server) decided(x *exchange, r verify.Result) {
	x.answer.Verification = r.Code
	s.Verifier.Count(r)
}
