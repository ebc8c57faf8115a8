package handlers

import (
	"context"

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
		answer.Data = append(answer.Data, eventResponse(event))
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
