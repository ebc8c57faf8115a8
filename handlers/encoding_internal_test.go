package handlers

import (
	"bytes"
	stdcmp "cmp"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/quota"
	"apikeyd/internal/ratelimit"
	"apikeyd/store"
	"apikeyd/verify"
)

// random makes random keys: each optional field is present or not, and texts come from a list.
type random struct {
	*rand.Rand
	texts []string
	full  bool // every optional field is present
}

func (r random) text() string { return r.texts[r.IntN(len(r.texts))] }

func (r random) maybe() bool { return r.full || r.IntN(2) == 0 }

func (r random) instant() time.Time { return time.UnixMilli(r.Int64N(253402300800000)).UTC() }

func (r random) maybeInstant() time.Time {
	if !r.maybe() {
		return time.Time{}
	}
	return r.instant()
}

func (r random) key() apikey.Key {
	k := apikey.Key{
		ID: apikey.ID(uuid.New()), Prefix: r.text(), CreatedAt: r.instant(), RevokedAt: r.maybeInstant(),
		RotatedAt: r.maybeInstant(), LastUsedAt: r.maybeInstant(), OldSecretUntil: r.maybeInstant(),
		Settings: apikey.Settings{Owner: r.text(), Name: r.text(), ExpiresAt: r.instant(),
			Metadata: apikey.Metadata{}, Scopes: apikey.Scopes{}},
	}
	for r.maybe() && len(k.Scopes) < 4 {
		k.Scopes = append(k.Scopes, r.text())
		k.Metadata[r.text()] = r.text()
	}
	if r.maybe() {
		k.Quota = apikey.Quota{Limit: r.IntN(1e12) + 1, Period: apikey.Month, StartsOn: r.IntN(31) + 1}
	}
	if r.maybe() {
		k.RateLimit = apikey.RateLimit{Limit: r.IntN(1e6) + 1, Window: time.Duration(r.IntN(86400)+1) * time.Second}
	}
	for r.maybe() && len(k.AllowedCIDRs) < 4 {
		k.AllowedCIDRs = append(k.AllowedCIDRs, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(r.IntN(256))}), 16))
	}
	for r.maybe() && len(k.ObserveCIDRs) < 4 {
		k.ObserveCIDRs = append(k.ObserveCIDRs, netip.PrefixFrom(netip.AddrFrom16([16]byte{15: byte(r.IntN(256))}), 128))
	}
	if r.maybe() {
		k.LastUsedFrom = r.text()
	}
	k.Suspended = !r.maybe()
	if r.maybe() {
		k.Foreign = apikey.ForeignCurrent
	}
	if r.maybe() {
		k.Session = apikey.SessionLink
	}
	if r.maybe() {
		k.RevocationReason = apikey.Reasons()[r.IntN(len(apikey.Reasons()))]
	}
	return k
}

// shown returns a key as the generated type.
func shown(k apikey.Key, now time.Time) *gen.ApiKeyResponse {
	stamp := func(t time.Time) *apikey.Timestamp {
		if t.IsZero() {
			return nil
		}
		return new(apikey.Timestamp(t))
	}
	r := &gen.ApiKeyResponse{
		CreatedAt: apikey.Timestamp(k.CreatedAt), ExpiresAt: apikey.Timestamp(k.ExpiresAt), GraceEndsAt: stamp(k.GraceEnd(now)),
		Id: uuid.UUID(k.ID), LastUsedAt: stamp(k.LastUsedAt), Metadata: gen.Metadata(k.Metadata), Name: k.Name, Owner: k.Owner,
		Prefix: k.Prefix, RevokedAt: stamp(k.RevokedAt), RotatedAt: stamp(k.RotatedAt), Scopes: k.Scopes, Status: gen.ApiKeyStatus(k.Status(now)),
		Enabled: !k.Suspended,
	}
	if k.Session != "" {
		r.Session = new(gen.Session(k.Session))
	}
	if k.HasForeign(now) {
		r.ForeignSecret = new(true)
	}
	for list, to := range map[*apikey.CIDRs]**gen.Networks{&k.AllowedCIDRs: &r.AllowedCidrs, &k.ObserveCIDRs: &r.ObserveCidrs} {
		if len(*list) > 0 {
			*to = new(strings.Fields(list.String()))
		}
	}
	if k.LastUsedFrom != "" {
		r.LastUsedFrom = &k.LastUsedFrom
	}
	if k.IsRevoked() {
		r.RevocationReason = new(gen.RevocationReason(stdcmp.Or(k.RevocationReason, apikey.ReasonUnspecified)))
	}
	if q := k.Quota; !q.IsNone() {
		r.Quota = &gen.Quota{Limit: int64(q.Limit), Period: gen.QuotaPeriod(q.Period), StartsOn: q.StartsOn}
	}
	if !k.RateLimit.IsNone() {
		r.RateLimit = &gen.RateLimit{Limit: k.RateLimit.Limit, WindowSeconds: int(k.RateLimit.Window / time.Second)}
	}
	return r
}

// checkEncodings compares appended JSON with the generated types' JSON.
func checkEncodings(t *testing.T, r random) {
	t.Helper()
	now, k := r.instant(), r.key()
	secret := apikey.NewSecret("ak", apikey.NewID())
	created := map[string]any{}
	decode(t, encode(t, shown(k, now)), &created)
	created["secret"] = secret.Reveal()
	sealed := maps.Clone(created)
	delete(sealed, "secret")
	sealed["sealed_secret"] = "a\nb\n"

	list := gen.ApiKeyListResponse{Data: []gen.ApiKeyResponse{}, Pagination: gen.Pagination{
		TotalPages: r.IntN(1e6), CurrentPage: r.IntN(1e6), ItemsPerPage: r.IntN(100),
	}}
	if r.maybe() {
		list.Pagination.NextCursor = new("c2VlZA-_")
	}
	var keys []*apikey.Key
	for range r.IntN(4) {
		keys = append(keys, new(r.key()))
		list.Data = append(list.Data, *shown(*keys[len(keys)-1], now))
	}
	limited := gen.VerifyResponse{Code: gen.VerifyCode(verify.RateLimited), Key: shown(k, now), RetryAfterSeconds: new(2)}
	resets := now.Add(1500 * time.Millisecond)
	exceeded := gen.VerifyResponse{
		Code: gen.VerifyCode(verify.QuotaExceeded), Key: shown(k, now), RetryAfterSeconds: new(2),
		Quota: &gen.QuotaState{Remaining: 3, ResetsAt: apikey.Timestamp(resets)},
	}
	valid := gen.VerifyResponse{Code: gen.VerifyCode(verify.Valid), Key: shown(k, now), Valid: true}

	for name, tt := range map[string]struct {
		ours answer
		want any
	}{
		"key":     {keyAnswer(&k, now), shown(k, now)},
		"created": {secretAnswer(201, "", &k, shownSecret{clear: secret}, now), created},
		"sealed":  {secretAnswer(201, "", &k, shownSecret{sealed: "a\nb\n"}, now), sealed},
		"list":    {listAnswer(keys, list.Pagination, now), list},
		"limited": {verifyAnswer(verify.Result{
			Code: verify.RateLimited, RateLimit: ratelimit.State{RetryAfter: 1500 * time.Millisecond}, At: now,
		}, &k), limited},
		"limited until now": {verifyAnswer(verify.Result{Code: verify.RateLimited, At: now}, &k),
			gen.VerifyResponse{Code: gen.VerifyCode(verify.RateLimited), Key: shown(k, now), RetryAfterSeconds: new(0)}},
		"over its quota": {verifyAnswer(verify.Result{
			Code: verify.QuotaExceeded, Quota: quota.State{Remaining: 3, ResetsAt: resets}, At: now,
		}, &k), exceeded},
		"valid":     {verifyAnswer(verify.Result{Code: verify.Valid, At: now}, &k), valid},
		"not found": {verifyAnswer(verify.Result{Code: verify.NotFound, At: now}, nil), gen.VerifyResponse{Code: gen.VerifyCode(verify.NotFound)}},
	} {
		var got, want any
		decode(t, tt.ours.encode(nil), &got)
		decode(t, encode(t, tt.want), &want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	texts := []string{"plain", "", `"\/`, "<a&b>", "é🙂", "a\u2028b", "\x00\x1f\x7f\n", strings.Repeat("long ", 100)}
	for seed := range uint64(200) {
		checkEncodings(t, random{Rand: rand.New(rand.NewPCG(seed, 0)), texts: texts})
	}
}

func FuzzEncoding(f *testing.F) {
	f.Add(uint64(1), "plain", "é<>&\"\\")
	f.Fuzz(func(t *testing.T, seed uint64, a, b string) {
		texts := []string{strings.ToValidUTF8(a, ""), strings.ToValidUTF8(b, "")}
		checkEncodings(t, random{Rand: rand.New(rand.NewPCG(seed, 0)), texts: texts})
	})
}

// TestAnswersHaveEveryField fails if the contract and apikey differ in a key's fields.
func TestAnswersHaveEveryField(t *testing.T) {
	t.Parallel()
	r := random{Rand: rand.New(rand.NewPCG(1, 0)), texts: []string{"text"}, full: true}
	now, k := time.UnixMilli(0), r.key()
	k.RevokedAt = time.Time{} // revoked keys have no grace period
	var whole gen.ApiKeyWithSecretResponse
	decode(t, secretAnswer(200, "", &k, shownSecret{clear: apikey.NewSecret("ak", k.ID)}, now).encode(nil), &whole)
	decode(t, secretAnswer(200, "", &k, shownSecret{sealed: "text"}, now).encode(nil), &whole)
	wantFull(t, whole, "RevokedAt", "RevocationReason")
	k.RevokedAt = r.instant()
	var plain gen.ApiKeyResponse
	decode(t, keyAnswer(&k, now).encode(nil), &plain)
	wantFull(t, plain, "GraceEndsAt", "ForeignSecret")

	var changes gen.AuditChanges
	decode(t, []byte(k.Difference(nil, now).Imported(apikey.SchemeSHA256).String()), &changes)
	wantFull(t, changes, "GraceEndsAt", "MaxKeys", "Url", "WebhookDescription", "Events", "DisabledReason", "Notice")

	at := apikey.Timestamp(r.instant())
	said := store.Notice{EndsAt: at, Limit: 1, Network: "192.0.2.0/24", ResetsAt: at, SecretSince: at, Threshold: 1}
	decode(t, []byte(said.Differences().String()), &changes)
	wantFull(t, *changes.Notice.To)

	o := shownOwner{quota: quota.State{Remaining: 1, ResetsAt: now}}
	o.Owner = apikey.Owner{Name: "o"}.Apply(ownerChangeOf(fullOwnerUpdate(t)))
	o.Keys, o.LastUsedAt = store.KeyCounts{Active: 1, Expired: 2, Revoked: 3, Suspended: 4}, r.instant()
	var owner gen.OwnerResponse
	decode(t, o.append(nil), &owner)
	wantFull(t, owner, "Enabled")
	wantFull(t, owner.Keys)
	decode(t, []byte(o.Difference(apikey.Owner{}).String()), &changes)
	if changes.MaxKeys == nil || changes.Enabled == nil {
		t.Errorf("the changes of an owner are %+v", changes)
	}
	w := store.Webhook{ID: apikey.NewID(), URL: "https://a.example", Description: "d", Events: []string{"webhook.test"}, DisabledAt: now, DisabledReason: "gone"}
	decode(t, []byte(w.Difference(store.Webhook{}).String()), &changes)
	if changes.Url == nil || changes.WebhookDescription == nil || changes.Events == nil || changes.DisabledReason == nil {
		t.Errorf("the changes of a webhook are %+v", changes)
	}
}

// fullOwnerUpdate has every property of an owner's PATCH.
func fullOwnerUpdate(t *testing.T) *gen.OwnerUpdate {
	t.Helper()
	var update gen.OwnerUpdate
	decode(t, []byte(`{"enabled":false,"max_keys":1,"rate_limit":{"limit":1,"window_seconds":60},
		"quota":{"limit":1,"period":"day","starts_on":1},"metadata":{"a":"b"},"allowed_cidrs":["::/0"]}`), &update)
	wantFull(t, update)
	return &update
}

// wantFull expects that no field of a struct is zero, except some.
func wantFull(t *testing.T, value any, except ...string) {
	t.Helper()
	v := reflect.ValueOf(value)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() != slices.Contains(except, name) {
			t.Errorf("%T: %s is %v", value, name, v.Field(i))
		}
	}
}

// TestBodiesHaveEveryField fails if a conversion omits a field of a request.
func TestBodiesHaveEveryField(t *testing.T) {
	t.Parallel()
	const body = `{"name":"n","owner":"o","expires_at":"2030-01-31T12:00:00Z","scopes":["a"],"metadata":{"a":"b"},
		"rate_limit":{"limit":1,"window_seconds":60},"quota":{"limit":1,"period":"day","starts_on":1},"enabled":false,
		"allowed_cidrs":["10.0.0.0/8"],"observe_cidrs":["::/0"],"recipient":"age1q"}`
	var create gen.ApiKeyCreate
	decode(t, []byte(body), &create)
	wantFull(t, create)
	wantFull(t, settingsOf(&create, &apikey.Key{}))
	var update gen.ApiKeyUpdate
	decode(t, []byte(strings.NewReplacer(`"owner":"o",`, "", `,"recipient":"age1q"`, "").Replace(body)), &update)
	wantFull(t, update)
	wantFull(t, changeOf(&update))
	wantFull(t, ownerChangeOf(fullOwnerUpdate(t)))
}

// TestImportedRowsHaveEveryField fails if the conversion of an imported row omits a field.
func TestImportedRowsHaveEveryField(t *testing.T) {
	t.Parallel()
	var row gen.ImportedKey
	decode(t, []byte(`{"name":"n","owner":"o","expires_at":"2030-01-31T12:00:00Z","scopes":["a"],"metadata":{"a":"b"},
		"rate_limit":{"limit":1,"window_seconds":60},"quota":{"limit":1,"period":"day","starts_on":1},"enabled":false,
		"allowed_cidrs":["10.0.0.0/8"],"secret":"0123456789abcdef"}`), &row)
	wantFull(t, row, "Hash", "Scheme")
	s := newServer(Config{Now: time.Now})
	key, _, err := s.foreignKey(time.UnixMilli(0), row, "other")
	if err != nil {
		t.Fatal(err)
	}
	want := apikey.Settings{
		Name: "n", Owner: "o", ExpiresAt: time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC), Scopes: apikey.Scopes{"a"},
		Metadata: apikey.Metadata{"a": "b"}, RateLimit: apikey.RateLimit{Limit: 1, Window: time.Minute},
		Quota: apikey.Quota{Limit: 1, Period: apikey.Day, StartsOn: 1}, Suspended: true,
		AllowedCIDRs: apikey.ParseCIDRs([]string{"10.0.0.0/8"}),
	}
	if diff := cmp.Diff(want, key.Settings, cmp.Comparer(apikey.CIDRs.Equal)); diff != "" {
		t.Errorf("the settings differ (-want +got):\n%s", diff)
	}
}
