package handlers

import (
	"context"
	"fmt"
	"net/netip"

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
	from, err := clientOf(request.Body.ClientAddress)
	if err != nil {
		return nil, err
	}
	result, err := s.Verifier.Admit(ctx, request.Body.Key, verify.Call{Scopes: wanted, Cost: cost, From: from})
	if err != nil {
		return nil, err
	}
	exchangeOf(ctx).answer.Verification = result.Code
	if result.Code == verify.NotFound {
		return verifyAnswer(result, nil), nil
	}
	return verifyAnswer(result, result.Entry), nil
}

// clientOf reads client_address. Absent, it is unknown. Anything but an address is the caller's fault and not
// its client's, so it gets no decision.
func clientOf(text *string) (netip.Addr, error) {
	if text == nil {
		return netip.Addr{}, nil
	}
	address := addressOf(*text)
	if !address.IsValid() {
		return address, apikey.Invalid("client_address", "must be an IP address, with or without a port, such as 192.0.2.7 or 2001:db8::7")
	}
	return address, nil
}

// IntrospectToken implements the operation introspectToken (RFC 7662).
func (s *Server) IntrospectToken(
	ctx context.Context, request gen.IntrospectTokenRequestObject,
) (gen.IntrospectTokenResponseObject, error) {
	from, err := clientOf(request.Body.ClientAddress)
	if err != nil {
		return nil, err
	}
	result, err := s.Verifier.Look(ctx, request.Body.Token, verify.Call{From: from})
	if err != nil {
		return nil, err
	}
	exchangeOf(ctx).answer.Verification = result.Code
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
