package client_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

func TestQuotas(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	pro, none := client.Quota{Limit: 1_000_000_000_000, Period: client.Month, StartsOn: 31}, client.Quota{}
	create := func(c *client.Client, name string, quota *client.Quota) client.CreatedKey {
		t.Helper()
		created, err := c.Create(ctx, client.NewKey{Name: name, ExpiresAt: inAnHour(), Quota: quota})
		must(t, err)
		return created
	}
	wantQuota := func(key client.Key, want client.Quota) {
		t.Helper()
		if key.Quota != want {
			t.Errorf("%s: the quota is %v, want %v", key.Name, key.Quota, want)
		}
	}
	limited := create(k.admin, "limited", &pro)
	wantQuota(limited.Key, pro)
	child := create(k.as(t, limited.Secret.Reveal()), "inherits", nil)
	wantQuota(child.Key, pro)
	wantQuota(create(k.admin, "admins have none", nil).Key, none)
	wantQuota(create(k.admin, "said to have none", &none).Key, none)

	change := func(quota *client.Quota) client.Key {
		t.Helper()
		changed, err := k.admin.Update(ctx, child.ID, client.Change{Quota: quota})
		must(t, err)
		return changed
	}
	day := client.Quota{Limit: 1, Period: client.Day, StartsOn: 1}
	wantQuota(change(&client.Quota{Limit: 1, Period: client.Day}), day)
	wantQuota(change(nil), day)
	wantQuota(change(&none), none)

	_, err := k.as(t, limited.Secret.Reveal()).Update(ctx, limited.ID, client.Change{Quota: &none})
	wantError(t, err, 403, client.CodeForbidden)
	for _, bad := range []client.Quota{{Limit: 1}, {Period: client.Day}, {Limit: 1, Period: "year"}, {Limit: 1, Period: client.Day, StartsOn: 2}} {
		_, err := k.admin.Update(ctx, child.ID, client.Change{Quota: &bad})
		wantError(t, err, 400, client.CodeInvalidRequest)
	}
}

func TestVerifyCall(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx := t.Context()
	created, err := k.admin.Create(ctx, client.NewKey{Name: "n", ExpiresAt: clock.Now().AddDate(0, 0, 3),
		Scopes: &[]string{"a"}, Quota: &client.Quota{Limit: 10, Period: client.Day}})
	must(t, err)
	tomorrow := clock.Now().Truncate(24*time.Hour).AddDate(0, 0, 1)
	for _, tt := range []struct {
		cost  *int
		scope string
		code  client.VerifyCode
		left  int
	}{
		{nil, "a", client.VerifyValid, 9},
		{new(4), "a", client.VerifyValid, 5},
		{new(6), "a", client.VerifyQuotaExceeded, 5},
		{new(0), "a", client.VerifyValid, 5},
		{new(5), "a", client.VerifyValid, 0},
		{nil, "a", client.VerifyQuotaExceeded, 0},
	} {
		got, err := k.admin.VerifyCall(ctx, client.Call{Secret: created.Secret.Reveal(), Scopes: []string{tt.scope}, Cost: tt.cost})
		must(t, err)
		if got.Code != tt.code || got.Quota != (client.QuotaState{Remaining: tt.left, ResetsAt: tomorrow}) {
			t.Errorf("%s with %+v, want %s and %d until %s", got.Code, got.Quota, tt.code, tt.left, tomorrow)
		}
		if wait := tomorrow.Sub(clock.Now()); got.Code == client.VerifyQuotaExceeded && got.RetryAfter != wait {
			t.Errorf("retry after %s, want %s", got.RetryAfter, wait)
		}
	}
	lacking, err := k.admin.Verify(ctx, created.Secret.Reveal(), "b")
	if err != nil || lacking.Code != client.VerifyInsufficientScope || lacking.Quota != (client.QuotaState{}) {
		t.Errorf("a scope is missing: %+v, %v", lacking, err)
	}
	use, err := k.admin.KeyUsage(ctx, created.ID)
	if err != nil || use.Quota != (client.QuotaState{ResetsAt: tomorrow}) {
		t.Errorf("the usage has the quota %+v, %v", use.Quota, err)
	}
	for _, bad := range []int{-1, 1_000_001} {
		_, err := k.admin.VerifyCall(ctx, client.Call{Secret: created.Secret.Reveal(), Cost: &bad})
		wantError(t, err, 400, client.CodeInvalidRequest)
	}
}

// A Guard counts what each request costs, with and without a cache.
func TestGuardAndQuotas(t *testing.T) {
	t.Parallel()
	for _, cacheFor := range []time.Duration{0, time.Minute} {
		g := newGuarded(t, client.GuardOptions{CacheFor: cacheFor, Cost: func(r *http.Request) int {
			cost, _ := strconv.Atoi(r.Header.Get("Cost"))
			return cost
		}})
		quota := client.Quota{Limit: 10, Period: client.Day}
		key, err := g.admin.ForOwner("customer-42").Create(t.Context(), client.NewKey{
			Name: "n", ExpiresAt: g.clock.Now().AddDate(1, 0, 0), Scopes: &[]string{"datasets:read"}, Quota: &quota,
		})
		must(t, err)
		get := func(cost string) got {
			t.Helper()
			return g.call(t, http.MethodGet, http.Header{"X-Api-Key": {key.Secret.Reveal()}, "Cost": {cost}})
		}
		wait := g.clock.Now().Truncate(24*time.Hour).AddDate(0, 0, 1).Sub(g.clock.Now())
		seconds := strconv.Itoa(int((wait + time.Second - 1) / time.Second))
		get("3").wantPass(t, "n")
		get("3").wantPass(t, "n")
		get("0").wantPass(t, "n")
		get("5").wantRefused(t, 429, client.CodeQuotaExceeded, "", seconds)
		get("4").wantPass(t, "n")
		get("1").wantRefused(t, 429, client.CodeQuotaExceeded, "", seconds)
		get("-1").wantRefused(t, 503, client.CodeUnavailable, "", "1")
	}
}
