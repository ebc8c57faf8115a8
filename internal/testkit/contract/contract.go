// Package contracttest checks every exchange of a test against openapi.yaml. Two libraries read the
// contract, kin-openapi as in the server and jsonschema for the bodies, so that a defect of one does
// not go unnoticed. They are stricter than the server: anything undeclared in an answer is an error.
// The package is for tests only.
package contracttest

import (
	"fmt"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// Contract is the loaded openapi.yaml. It is safe for concurrent use.
type Contract struct {
	document   *openapi3.T
	operations []Operation
	bodies     bodies
}

// Load loads the text of openapi.yaml, which must be a valid document.
func Load(text []byte) (*Contract, error) {
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if err := document.Validate(loader.Context); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	b, err := newBodies(document)
	return &Contract{document: document, operations: operations(document), bodies: b}, err
}

// Operation is one operation of the contract.
type Operation struct {
	ID, Method, Path string
	Statuses         []string // documented by number
	Default          bool     // all other errors are documented as "default"
}

// Operations lists the operations of the contract.
func (c *Contract) Operations() []Operation { return slices.Clone(c.operations) }

func operations(document *openapi3.T) []Operation {
	var all []Operation
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			operation := Operation{ID: o.OperationID, Method: method, Path: path}
			for status := range o.Responses.Map() {
				if status == "default" {
					operation.Default = true
					continue
				}
				operation.Statuses = append(operation.Statuses, status)
			}
			all = append(all, operation)
		}
	}
	return all
}
