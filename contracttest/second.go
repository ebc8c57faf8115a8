//go:build full

package contracttest

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/pb33f/libopenapi"
	libopenapi_validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	invalid "github.com/pb33f/libopenapi-validator/errors"
)

// independent says whether the validator shares nothing with the server.
const independent = true

// second is the validator that is independent of the server's.
type second struct{ libopenapi_validator.Validator }

func newValidator(text []byte, _ *openapi3.T) (validator, error) {
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	v, errs := libopenapi_validator.NewValidator(document,
		config.WithFormatAssertions(),
		config.WithContentAssertions(),
		config.WithStrictMode(), // what the contract does not declare is an error
		// Except for names that are the caller's to choose; their values are checked all the same. The
		// validator compiles these patterns again for each exchange, so that fewer are faster.
		config.WithStrictIgnorePaths("$.body.**metadata.**", "$.body.**metadata[**"),
		config.WithStrictIgnoredHeaders(
			// HTTP's own, which a contract does not declare, and the credentials, which it
			// declares as security schemes.
			"Date", "Content-Length", "Content-Type", "Connection", "User-Agent", "Accept-Encoding",
			"X-Api-Key", "Authorization"),
		config.WithRejectUndeclaredRequestBody(),
		config.WithoutSecurityValidation(), // a refusal for want of credentials is a good answer
	)
	if len(errs) > 0 {
		return nil, fmt.Errorf("validator: %v", errs)
	}
	if ok, problems := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("openapi.yaml: %s", describe(problems))
	}
	return second{v}, nil
}

func (s second) answer(_ Operation, r *http.Request, answer *http.Response) string {
	_, problems := s.ValidateHttpResponse(r, answer)
	return describe(problems)
}

func (s second) request(_ Operation, r *http.Request) string {
	_, problems := s.ValidateHttpRequest(r)
	return describe(problems)
}

func describe(problems []*invalid.ValidationError) string {
	var all []string
	for _, p := range problems {
		text := p.Message + ": " + p.Reason
		for _, s := range p.SchemaValidationErrors {
			text += "; " + s.FieldPath + " " + s.Reason
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}
