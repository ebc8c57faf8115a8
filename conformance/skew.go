package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// compareContracts says what one contract lacks, and what it has that ours does not: operations,
// parameters, properties, fixed values, statuses and headers. Descriptions and limits do not count.
func compareContracts(ours, theirs *openapi3.T) (missing, added []string) {
	our, their := featuresOf(ours), featuresOf(theirs)
	return our.without(their), their.without(our)
}

// features are what operations consist of. Each has the operations that have it, because one property
// of a key is in the answers of many.
type features map[string]map[string]bool

func (f features) add(operation, format string, args ...any) {
	feature := fmt.Sprintf(format, args...)
	if f[feature] == nil {
		f[feature] = make(map[string]bool)
	}
	f[feature][operation] = true
}

// theOperation is the feature of every operation.
const theOperation = "the operation"

// without lists the features that others lack. Of an operation that they lack it lists nothing else.
func (f features) without(others features) []string {
	var all []string
	for feature, operations := range f {
		var lacking []string
		for operation := range operations {
			if !others[feature][operation] && (feature == theOperation || others[theOperation][operation]) {
				lacking = append(lacking, operation)
			}
		}
		if slices.Sort(lacking); len(lacking) == 0 {
			continue
		}
		if feature == theOperation {
			feature = "an operation"
		}
		const most = 3
		if more := len(lacking) - most; more > 0 {
			lacking = append(lacking[:most], fmt.Sprintf("and %d more", more))
		}
		all = append(all, feature+": "+strings.Join(lacking, ", "))
	}
	slices.Sort(all)
	return all
}

func featuresOf(document *openapi3.T) features {
	f := make(features)
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			operation := method + " " + path
			f.add(operation, theOperation)
			for _, parameters := range []openapi3.Parameters{item.Parameters, o.Parameters} {
				for _, p := range parameters {
					what := fmt.Sprintf("the %s parameter %s", p.Value.In, p.Value.Name)
					f.add(operation, "%s", what)
					if p.Value.Schema != nil {
						f.addSchema(operation, what, p.Value.Schema.Value, nil)
					}
				}
			}
			if o.RequestBody != nil {
				f.addContent(operation, "requests", o.RequestBody.Value.Content)
			}
			for status, response := range o.Responses.Map() {
				if status != "default" {
					f.add(operation, "the status %s", status)
				}
				for name := range response.Value.Headers {
					f.add(operation, "the header %s of answers", name)
				}
				kind := "answers"
				if status >= "4" { // default too
					kind = "errors"
				}
				f.addContent(operation, kind, response.Value.Content)
			}
		}
	}
	return f
}

func (f features) addContent(operation, kind string, content openapi3.Content) {
	for media, body := range content {
		f.add(operation, "the media type %s of %s", media, kind)
		if body != nil && body.Schema != nil {
			f.addSchema(operation, kind, body.Schema.Value, nil)
		}
	}
}

// addSchema adds the properties and fixed values of a schema. within is what it is part of, because
// a schema may contain itself.
func (f features) addSchema(operation, what string, schema *openapi3.Schema, within []*openapi3.Schema) {
	if schema == nil || slices.Contains(within, schema) {
		return
	}
	within = append(slices.Clone(within), schema)
	for _, value := range schema.Enum {
		f.add(operation, "the value %v of %s", value, what)
	}
	for _, name := range schema.Required {
		f.add(operation, "the rule that %s is required in %s", name, what)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := fmt.Sprintf("the property %s of %s", name, what)
		f.add(operation, "%s", property)
		f.addSchema(operation, property, schema.Properties[name].Value, within)
	}
	for _, part := range slices.Concat(schema.AllOf, schema.AnyOf, schema.OneOf) {
		f.addSchema(operation, what, part.Value, within)
	}
	if schema.Items != nil {
		f.addSchema(operation, what, schema.Items.Value, within)
	}
}
