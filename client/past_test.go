package client_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

func TestGetAt(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx := t.Context()
	own := k.admin.ForOwner("customer")
	created, err := own.Create(ctx, client.NewKey{Name: "a/b", ExpiresAt: clock.Now().Add(48 * time.Hour)})
	must(t, err)
	then := clock.Now()
	clock.Advance(time.Hour)
	_, err = own.Rotate(ctx, "a/b", 0)
	must(t, err)
	_, err = own.Revoke(ctx, "a/b")
	must(t, err)

	want := client.Past{At: then, Key: created.Key, SecretGeneration: 1, SecretSince: then, Consistent: true}
	for name, get := range map[string]func() (client.Past, error){
		"by name": func() (client.Past, error) { return own.GetAt(ctx, "a/b", then) },
		"by id":   func() (client.Past, error) { return k.admin.GetAt(ctx, created.ID, then) },
		"elsewhere": func() (client.Past, error) {
			return own.GetAt(ctx, "a/b", then.In(time.FixedZone("", 2*60*60)))
		},
	} {
		got, err := get()
		must(t, err)
		if diff := cmp.Diff(want, got, ignoreETag); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	now, err := own.GetAt(ctx, "a/b", clock.Now())
	if err != nil || now.Key.Status != client.StatusRevoked || now.SecretGeneration != 2 {
		t.Errorf("now: %+v, %v", now, err)
	}
	_, err = own.GetAt(ctx, "a/b", then.Add(-time.Second))
	wantError(t, err, 400, client.CodeInvalidRequest)
	_, err = own.GetAt(ctx, "..", then)
	wantError(t, err, 404, client.CodeKeyNotFound)
	_, err = k.DB.PruneEvents(ctx, clock.Now().Add(time.Second))
	must(t, err)
	_, err = own.GetAt(ctx, "a/b", then)
	wantError(t, err, 409, client.CodeHistoryRemoved)
}
