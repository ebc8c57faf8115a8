package handlers_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"apikeyd/gen"
)

// TestContractIsUsed fails if the contract promises something that the service ignores: a query
// parameter, a property of a request, one of its fixed values (each needs a proof in
// contract_proofs_test.go), a header of an answer, or a fixed value in one (each must be seen while
// the proofs run). Neither the compiler nor validation notices any of them.
func TestContractIsUsed(t *testing.T) {
	t.Parallel()
	used := useContract(t)
	document := contractDocument(t)
	for _, missing := range used.missing(document) {
		t.Error(missing)
	}
	known := requestParts(document)
	for part := range proofs {
		if !known[part] {
			t.Errorf("%s is proved, but not in the contract: remove it from proofs", part)
		}
	}
	for name, tt := range contractEdits {
		t.Run(name, func(t *testing.T) {
			edited := contractDocument(t)
			tt.edit(edited)
			var named []string
			for _, message := range used.missing(edited) {
				part, _, _ := strings.Cut(message, ":")
				named = append(named, part)
			}
			if slices.Sort(tt.want); !slices.Equal(named, tt.want) {
				t.Errorf("the check names %q, want %q", named, tt.want)
			}
		})
	}
}

// TestIgnoredInputIsNoProof shows that a proof fails if the service ignores what it is about.
func TestIgnoredInputIsNoProof(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	without, with := k.forward(k.admin.Secret, ""), k.forward(k.admin.Secret, "?note=ignored")
	if !alike(without, with) {
		t.Error("a query parameter that nobody reads makes a difference")
	}
}

// contractEdits change the contract and nothing else.
var contractEdits = map[string]struct {
	edit func(*openapi3.T)
	want []string // the parts that the check must name
}{
	"query parameter": {func(d *openapi3.T) {
		addQuery(d.Paths.Value("/v1/api-keys").Get, "created_before", openapi3.NewDateTimeSchema())
	}, []string{"listApiKeys ?created_before"}},
	"request property": {func(d *openapi3.T) {
		d.Components.Schemas["ApiKeyCreate"].Value.WithProperty("note", openapi3.NewStringSchema())
	}, []string{"createApiKey .note"}},
	"value of a filter and an answer": {func(d *openapi3.T) {
		addValue(d, "ApiKeyStatus", "SUSPENDED")
	}, []string{"ApiKeyStatus=SUSPENDED", "listApiKeys ?status=SUSPENDED"}},
	"header of one answer": {func(d *openapi3.T) {
		addHeader(d.Paths.Value("/v1/api-keys").Get.Responses.Value("200").Value, "X-Total-Count")
	}, []string{"listApiKeys 200 X-Total-Count"}},

	"header of a shared answer": {func(d *openapi3.T) {
		addHeader(d.Components.Responses["Unauthorized"].Value, "X-Reason")
	}, []string{"Unauthorized X-Reason"}},
	"nested request property": {func(d *openapi3.T) {
		d.Components.Schemas["RateLimitSetting"].Value.WithProperty("burst", openapi3.NewInt32Schema())
	}, []string{"createApiKey .rate_limit.burst", "importApiKeys .keys.rate_limit.burst", "updateApiKey .rate_limit.burst", "updateOwner .rate_limit.burst"}},
	"property of a form": {func(d *openapi3.T) {
		d.Components.Schemas["IntrospectionRequest"].Value.WithProperty("resource", openapi3.NewStringSchema())
	}, []string{"introspectToken .resource"}},
	"value of a query parameter": {func(d *openapi3.T) {
		p := d.Paths.Value("/v1/forward-auth").Get.Parameters.GetByInAndName("query", "rate_limited").Schema.Value
		p.Enum = append(p.Enum, "503")
	}, []string{"forwardAuth ?rate_limited=503"}},
	"code of an answer": {func(d *openapi3.T) {
		addValue(d, "VerifyCode", "HELD")
	}, []string{"VerifyCode=HELD"}},
	"header of a request": {func(d *openapi3.T) {
		d.Paths.Value("/v1/api-keys").Post.AddParameter(openapi3.NewHeaderParameter("Idempotency-Key").WithSchema(openapi3.NewStringSchema()))
	}, []string{"createApiKey ?Idempotency-Key"}},
	"parameter of a whole path": {func(d *openapi3.T) {
		item := d.Paths.Value("/v1/summary")
		item.Parameters = append(item.Parameters, &openapi3.ParameterRef{
			Value: openapi3.NewQueryParameter("since").WithSchema(openapi3.NewDateTimeSchema()),
		})
	}, []string{"getSummary ?since"}},
}

func addQuery(o *openapi3.Operation, name string, schema *openapi3.Schema) {
	o.AddParameter(openapi3.NewQueryParameter(name).WithSchema(schema))
}

func addValue(d *openapi3.T, schema, value string) {
	s := d.Components.Schemas[schema].Value
	s.Enum = append(s.Enum, value)
}

func addHeader(r *openapi3.Response, name string) {
	r.Headers[name] = &openapi3.HeaderRef{Value: &openapi3.Header{}}
}

func contractDocument(t *testing.T) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(gen.Contract)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// uses are the parts of the contract that the service was seen to use.
type uses struct {
	proved map[string]bool // parts of requests
	seen   exchanges       // answers
}

// useContract runs every proof.
func useContract(t *testing.T) *uses {
	t.Helper()
	k, _ := scanned(t, withAuthLimit)
	off := newKit(t)
	used := &uses{proved: map[string]bool{}}
	for _, client := range []*http.Client{k.client, k.plain, off.client} {
		client.Transport = used.seen.recording(client.Transport)
	}
	prepareProofs(k)
	for _, part := range slices.Sorted(maps.Keys(proofs)) {
		k.Run(part, func(k *kit) {
			without, with := proofs[part](k)
			used.proved[part] = !alike(without, with)
			if !used.proved[part] {
				k.Errorf("the service ignores it: both answers are %d %s", with.status, with.raw)
			}
		})
	}
	concludeProofs(k)
	off.signed(k.github, "[]").refused(404, "SCANNING_OFF")
	return used
}

// missing says what a contract has that was not used, and what to do.
func (u *uses) missing(document *openapi3.T) []string {
	var all []string
	for part := range requestParts(document) {
		if !u.proved[part] {
			all = append(all, part+": nothing shows that the service reads it. Add two requests to proofs in "+
				"handlers/contract_proofs_test.go whose answers differ because of it")
		}
	}
	seen := u.seen.parts(document)
	for part := range answerParts(document) {
		if !seen[part] {
			all = append(all, part+": no answer has it. Send it, and add a request that gets it to concludeProofs in "+
				"handlers/contract_proofs_test.go")
		}
	}
	slices.Sort(all)
	return all
}

// alike reports whether two answers are the same, but for what no two answers share.
func alike(a, b response) bool {
	plain := func(r response) string {
		var body any
		if json.Unmarshal(r.raw, &body) == nil {
			body = withoutVolatile(body)
		}
		return fmt.Sprint(r.status, body)
	}
	return plain(a) == plain(b)
}

func withoutVolatile(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if slices.Contains([]string{"id", "secret", "prefix", "created_at", "request_id"}, name) {
				delete(value, name)
				continue
			}
			value[name] = withoutVolatile(inner)
		}
	case []any:
		for i := range value {
			value[i] = withoutVolatile(value[i])
		}
	}
	return value
}

// requestParts names the parts of requests that a service can ignore unnoticed, such as
// "listApiKeys ?status=ACTIVE" and "createApiKey .rate_limit.limit".
func requestParts(document *openapi3.T) map[string]bool {
	parts := map[string]bool{}
	for _, item := range document.Paths.Map() {
		for _, o := range item.Operations() {
			for _, p := range slices.Concat(item.Parameters, o.Parameters) {
				if p.Value.In == openapi3.ParameterInPath {
					continue
				}
				part := o.OperationID + " ?" + p.Value.Name
				parts[part] = true
				addParts(parts, part, p.Value.Schema.Value)
			}
			if o.RequestBody != nil {
				for _, media := range o.RequestBody.Value.Content {
					addParts(parts, o.OperationID+" ", media.Schema.Value)
				}
			}
		}
	}
	return parts
}

func addParts(parts map[string]bool, prefix string, s *openapi3.Schema) {
	for _, value := range s.Enum {
		parts[fmt.Sprint(prefix, "=", value)] = true
	}
	for name, property := range s.Properties {
		parts[prefix+"."+name] = true
		addParts(parts, prefix+"."+name, property.Value)
	}
	for _, part := range s.AllOf {
		addParts(parts, prefix, part.Value)
	}
	if s.Items != nil {
		addParts(parts, prefix, s.Items.Value)
	}
}
