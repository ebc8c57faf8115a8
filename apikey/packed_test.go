package apikey_test

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
)

// Packing and unpacking keeps every field.
func TestPacked(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]apikey.Key{
		"everything": fullKey(t),
		"nothing":    {Settings: apikey.Settings{Scopes: apikey.Scopes{}, Metadata: apikey.Metadata{}}},
		"limits": {
			ID: apikey.NewID(), Prefix: "ak_12345678", CreatedAt: time.UnixMilli(1).UTC(), RevokedAt: time.UnixMilli(0).UTC(),
			Settings: apikey.Settings{
				Name: strings.Repeat("🙂", 255), Owner: strings.Repeat("o", 255),
				ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
				Scopes:    apikey.Scopes{strings.Repeat("s", 128), "a", "b"},
				Metadata:  apikey.Metadata{"a": strings.Repeat("v", 500), "": "", "b\x00": "\xff"},
				RateLimit: apikey.RateLimit{Limit: 1_000_000, Window: 24 * time.Hour},
				Quota:     apikey.Quota{Limit: apikey.MaxQuota, Period: apikey.Month, StartsOn: 31},

				AllowedCIDRs: apikey.ParseCIDRs([]string{"0.0.0.0/0", "::/0", "255.255.255.255", "2001:db8::7"}),
			},
		},
	} {
		packed := string(want.AppendPacked([]byte("before"))[len("before"):])
		want.OwnerSuspended = false
		got := fullKey(t) // each field must be overwritten
		got.Unpack(packed, true)
		if diff := differ(want, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", name, diff)
		}
		got.Unpack(packed, false)
		want.Metadata = apikey.Metadata{}
		if diff := differ(want, got); diff != "" {
			t.Errorf("%s without metadata differs (-want +got):\n%s", name, diff)
		}
	}
}

// fullKey returns a key in which no field is zero.
func fullKey(t *testing.T) apikey.Key {
	t.Helper()
	var k apikey.Key
	fill(t, reflect.ValueOf(&k).Elem())
	return k
}

// fill sets a value, and all values in it, to random ones.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	if _, ok := v.Interface().(time.Time); ok {
		v.Set(reflect.ValueOf(time.UnixMilli(rand.Int64N(1e13) + 1).UTC()))
		return
	}
	if _, ok := v.Interface().(netip.Prefix); ok {
		v.Set(reflect.ValueOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rand.IntN(256))}), 16)))
		return
	}
	switch v.Kind() { //nolint:exhaustive // a key has no others
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key)
		fill(t, value)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(strings.Repeat("x", rand.IntN(300)+1))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(rand.Int64N(1e9) + 1)
	case reflect.Uint8:
		v.SetUint(rand.Uint64N(255) + 1)
	default:
		t.Fatalf("what is a %s? Fill it here", v.Type())
	}
}
