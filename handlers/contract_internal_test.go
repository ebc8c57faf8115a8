package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"apikeyd/gen"
)

// An unprotected operation must stop the server from starting.
func TestNewOperationDeniesByDefault(t *testing.T) {
	t.Parallel()
	good := func() *openapi3.Operation {
		return &openapi3.Operation{
			Security:   &openapi3.SecurityRequirements{openapi3.NewSecurityRequirement().Authenticate("ApiKeyAuth")},
			Extensions: map[string]any{requiredScope: "keys:read"},
		}
	}
	body := func(mediaType string, required bool) *openapi3.RequestBodyRef {
		content := openapi3.NewContentWithSchema(openapi3.NewObjectSchema(), []string{mediaType})
		return &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithContent(content).WithRequired(required)}
	}
	tests := []struct {
		name  string
		spoil func(*openapi3.Operation)
		ok    bool
	}{
		{"as it should be", func(*openapi3.Operation) {}, true},
		{"with a body", func(o *openapi3.Operation) { o.RequestBody = body("application/json", true) }, true},
		{"no security", func(o *openapi3.Operation) { o.Security = nil }, false},
		{"empty security", func(o *openapi3.Operation) { o.Security = openapi3.NewSecurityRequirements() }, false},
		{"no scope", func(o *openapi3.Operation) { o.Extensions = nil }, false},
		{"a scope that is no string", func(o *openapi3.Operation) { o.Extensions[requiredScope] = true }, false},
		{"public with a reason", func(o *openapi3.Operation) { o.Security, o.Extensions = nil, map[string]any{public: "because"} }, true},
		{"public without a reason", func(o *openapi3.Operation) { o.Security, o.Extensions = nil, map[string]any{public: ""} }, false},
		{"public, and a scope is asked for", func(o *openapi3.Operation) { o.Security = nil }, false},
		{"a form", func(o *openapi3.Operation) { o.RequestBody = body(formMedia, true) }, true},
		{"a body that is neither JSON nor a form", func(o *openapi3.Operation) { o.RequestBody = body("text/plain", true) }, false},
		{"a body that may be left out", func(o *openapi3.Operation) { o.RequestBody = body("application/json", false) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good()
			tt.spoil(o)
			if _, err := newOperation(&openapi3.PathItem{}, o); (err == nil) != tt.ok {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// A handler must not run if its guards were bypassed.
func TestRequireCaller(t *testing.T) {
	t.Parallel()
	ran := 0
	handler := requireCaller(func(echo.Context, any) (any, error) {
		ran++
		return nil, nil
	}, "listApiKeys")
	call := func(ctx context.Context) error {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
		_, err := handler(echo.New().NewContext(r, httptest.NewRecorder()), nil)
		return err
	}
	if err := call(t.Context()); err == nil || ran != 0 {
		t.Errorf("without a caller: error %v, ran %d times", err, ran)
	}
	if err := call(&exchange{Context: t.Context(), called: true}); err != nil || ran != 1 {
		t.Errorf("with a caller: error %v, ran %d times", err, ran)
	}
	if err := call(&exchange{Context: t.Context(), visited: true}); err != nil || ran != 2 {
		t.Errorf("with a visitor of a public operation: error %v, ran %d times", err, ran)
	}
}

// A property that validation replaces by the schema that it is allOf says nothing more that validation needs.
func TestPlainPropertyLosesNothing(t *testing.T) {
	t.Parallel()
	spec, err := gen.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	replaced := 0
	for name, schema := range spec.Components.Schemas {
		for property, before := range schema.Value.Properties {
			after := plainProperty(before)
			if after == before {
				continue
			}
			replaced++
			rest := *before.Value
			if !cmp.Equal(rest.Type, after.Value.Type) {
				t.Errorf("%s.%s is of type %v, and becomes %v", name, property, rest.Type, after.Value.Type)
			}
			rest.Type, rest.Nullable, rest.AllOf, rest.Description = nil, false, nil, ""
			if text, err := rest.MarshalJSON(); err != nil || string(text) != "{}" {
				t.Errorf("%s.%s loses %s, %v", name, property, text, err)
			}
		}
	}
	if replaced == 0 {
		t.Error("no property is replaced")
	}
}
