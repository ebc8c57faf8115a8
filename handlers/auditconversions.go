package handlers

import (
	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
)

// eventAnswer and changesAnswer repeat the generated types, as keyAnswer does.
type eventAnswer struct {
	Action    gen.AuditAction
	Actor     gen.AuditActor
	Address   *string
	At        apikey.Timestamp
	Changes   gen.AuditChanges
	Id        uuid.UUID
	KeyId     uuid.UUID
	Name      string
	Owner     string
	RequestId *string
	Via       string
}

type changesAnswer struct {
	ExpiresAt   *gen.AuditTimeChange
	GraceEndsAt *gen.AuditTimeChange
	Metadata    *gen.AuditMetadataChange
	Name        *gen.AuditTextChange
	RateLimit   *gen.AuditRateLimitChange
	RevokedAt   *gen.AuditTimeChange
	Scopes      *gen.AuditScopesChange
}

func eventResponse(e store.Event) gen.AuditEvent {
	actor := operatorName
	if !e.Actor.IsZero() {
		actor = e.Actor.String()
	}
	return gen.AuditEvent(eventAnswer{
		Action:    gen.AuditAction(e.Action),
		Actor:     actor,
		Address:   unlessEmpty(e.Address),
		At:        apikey.Timestamp(e.At),
		Changes:   changesResponse(e.Changes),
		Id:        uuid.UUID(e.ID),
		KeyId:     uuid.UUID(e.Key),
		Name:      e.Name,
		Owner:     e.Owner,
		RequestId: unlessEmpty(e.RequestID),
		Via:       e.Via,
	})
}

func changesResponse(c store.Changes) gen.AuditChanges {
	answer := changesAnswer{
		ExpiresAt:   timeChange(c.ExpiresAt),
		GraceEndsAt: timeChange(c.GraceEndsAt),
		RevokedAt:   timeChange(c.RevokedAt),
	}
	if c.Name != nil {
		answer.Name = &gen.AuditTextChange{From: c.Name.From, To: c.Name.To}
	}
	if c.Scopes != nil {
		answer.Scopes = &gen.AuditScopesChange{From: (*gen.Scopes)(c.Scopes.From), To: (*gen.Scopes)(c.Scopes.To)}
	}
	if c.Metadata != nil {
		answer.Metadata = &gen.AuditMetadataChange{
			From: (*gen.Metadata)(c.Metadata.From), To: (*gen.Metadata)(c.Metadata.To)}
	}
	if c.RateLimit != nil {
		answer.RateLimit = &gen.AuditRateLimitChange{
			From: rateLimit(or(c.RateLimit.From, apikey.RateLimit{})), To: rateLimit(or(c.RateLimit.To, apikey.RateLimit{}))}
	}
	return gen.AuditChanges(answer)
}

func timeChange(c *store.Change[apikey.Timestamp]) *gen.AuditTimeChange {
	if c == nil {
		return nil
	}
	return &gen.AuditTimeChange{From: c.From, To: c.To}
}

// unlessEmpty is an optional text; the empty one is absent.
func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
