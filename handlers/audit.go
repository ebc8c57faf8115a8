package handlers

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
)

// operatorName is how the contract names whoever holds the database itself.
const operatorName = "operator"

// ListAuditEvents implements the operation listAuditEvents.
func (s *Server) ListAuditEvents(
	ctx context.Context, request gen.ListAuditEventsRequestObject,
) (gen.ListAuditEventsResponseObject, error) {
	query, possible, err := eventQuery(request.Params)
	if err != nil {
		return nil, err
	}
	var events []store.Event
	if possible {
		if events, err = s.Store.AuditEvents(ctx, query); err != nil {
			return nil, err
		}
	}
	answer := gen.AuditEventListResponse{Data: []gen.AuditEvent{}}
	if size := query.Limit - 1; len(events) > size {
		events = events[:size]
		answer.Next = new(uuid.UUID(events[size-1].ID))
	}
	for _, event := range events {
		shown, err := eventResponse(event)
		if err != nil {
			return nil, err
		}
		answer.Data = append(answer.Data, shown)
	}
	return gen.ListAuditEvents200JSONResponse{Body: answer}, nil
}

// eventQuery reads the filters. It asks for one event more than an answer holds, to see
// whether there is one, and says whether any event can pass: the zero id is nobody's.
func eventQuery(p gen.ListAuditEventsParams) (query store.EventQuery, possible bool, err error) {
	if p.Owner != nil {
		if err := apikey.CheckOwner(*p.Owner); err != nil {
			return query, false, err
		}
	}
	query = store.EventQuery{
		Key:    apikey.ID(or(p.Key, uuid.UUID{})),
		Owner:  or(p.Owner, ""),
		Action: string(or(p.Action, "")),
		Since:  boundary(p.Since),
		Until:  boundary(p.Until),
		Before: apikey.ID(or(p.Before, uuid.UUID{})),
		Limit:  or(p.ItemsPerPage, defaultItemsPerPage) + 1,
	}
	if actor := or(p.Actor, ""); actor == operatorName {
		query.Operator = true
	} else if actor != "" {
		query.Actor, _ = apikey.ParseID(actor) // the contract has seen to it
	}
	possible = (p.Key == nil || !query.Key.IsZero()) && (p.Before == nil || !query.Before.IsZero()) &&
		(p.Actor == nil || query.Operator || !query.Actor.IsZero())
	return query, possible, nil
}

func eventResponse(e store.Event) (gen.AuditEvent, error) {
	actor := operatorName
	if !e.Actor.IsZero() {
		actor = e.Actor.String()
	}
	var changes gen.AuditChanges
	if err := json.Unmarshal([]byte(e.Changes.String()), &changes); err != nil {
		return gen.AuditEvent{}, fmt.Errorf("the changes of audit event %s: %w", e.ID, err)
	}
	return gen.AuditEvent{
		Action:    gen.AuditAction(e.Action),
		Actor:     actor,
		Address:   unlessEmpty(e.Address),
		At:        apikey.Timestamp(e.At),
		Changes:   changes,
		Id:        uuid.UUID(e.ID),
		KeyId:     uuid.UUID(e.Key),
		Name:      e.Name,
		Owner:     e.Owner,
		RequestId: unlessEmpty(e.RequestID),
		Via:       e.Via,
	}, nil
}

// unlessEmpty is an optional text; the empty one is absent.
func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
