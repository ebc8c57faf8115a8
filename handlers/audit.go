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

// operatorName is the contract's name for the operator, who has direct access to the database.
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

// eventQuery reads the filters. It asks for one event more than the answer holds, to find out whether
// more follow. It reports as possible whether any event can match: none has a zero id.
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
		query.Actor, _ = apikey.ParseID(actor) // the contract's check ensures an id
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
		return gen.AuditEvent{}, fmt.Errorf("decoding the changes of audit event %s: %w", e.ID, err)
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

// unlessEmpty returns nil for an empty text.
func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
