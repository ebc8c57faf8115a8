package client_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
)

// The types that are encoded and decoded directly have the contract's properties and omit only
// optional ones.
func TestFieldsAreTheContracts(t *testing.T) {
	t.Parallel()
	contract, err := openapi3.NewLoader().LoadFromFile("../openapi.yaml")
	must(t, err)
	for schema, fields := range map[string][]reflect.StructField{
		"ApiKeyResponse": fieldsOf[client.Key](),
		"ApiKeyCreate": append(fieldsOf[client.NewKey](),
			reflect.StructField{Tag: `json:"owner,omitzero"`}), // is that of the Client
		"ApiKeyUpdate":         fieldsOf[client.Change](),
		"AuditEvent":           fieldsOf[client.AuditEvent](),
		"AuditChanges":         fieldsOf[client.AuditChanges](),
		"AuditTextChange":      fieldsOf[client.AuditChange[string]](),
		"AuditTimeChange":      fieldsOf[client.AuditChange[string]](),
		"AuditFlagChange":      fieldsOf[client.AuditChange[string]](),
		"AuditScopesChange":    fieldsOf[client.AuditChange[string]](),
		"AuditMetadataChange":  fieldsOf[client.AuditChange[string]](),
		"AuditRateLimitChange": fieldsOf[client.AuditChange[string]](),
		"AuditQuotaChange":     fieldsOf[client.AuditChange[string]](),
		"AuditNumberChange":    fieldsOf[client.AuditChange[int]](),
		"OwnerResponse":        fieldsOf[client.Owner](),
		"OwnerKeys":            fieldsOf[client.OwnerKeys](),
		"OwnerUpdate":          fieldsOf[client.OwnerChange](),
		"OwnerListResponse":    fieldsOf[client.OwnerPage](),
		"AuditNetworksChange":  fieldsOf[client.AuditChange[string]](),
		"QuotaSetting":         fieldsOf[client.Quota](),
		"QuotaState":           fieldsOf[client.QuotaState](),
	} {
		want, got := make(map[string]bool), make(map[string]bool) // by name, whether it is required
		declared := contract.Components.Schemas[schema].Value
		for name := range declared.Properties {
			want[name] = slices.Contains(declared.Required, name)
		}
		for _, field := range fields {
			name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" {
				continue // a header
			}
			got[name] = option != "omitzero"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the contract (-) and the client (+) differ:\n%s", schema, diff)
		}
	}
}

func fieldsOf[T any]() []reflect.StructField { return reflect.VisibleFields(reflect.TypeFor[T]()) }
