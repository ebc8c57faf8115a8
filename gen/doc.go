// Package gen is what oapi-codegen makes of openapi.yaml: types, the server
// interface and the embedded contract. Only this file and the tests are written by
// hand; run make generate after changing the contract.
package gen

import _ "embed"

// Contract is openapi.yaml, byte for byte.
//
//go:embed openapi.yaml
var Contract []byte

// ContractJSON is openapi.yaml as JSON, in the same order.
//
//go:embed openapi.json
var ContractJSON []byte
