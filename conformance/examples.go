package conformance

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

func exampleChecks() []check {
	const group = "examples"
	return []check{
		{group, "bodies", "the contract's examples of request bodies are accepted", needAdminKey | needUnlimitedKey, exampleBodies},
		{group, "parameters", "the contract's examples of query parameters are accepted", needAdminKey | needUnlimitedKey, exampleParameters},
	}
}

func exampleBodies(s *session) {
	for _, name := range s.contract.names() {
		if name == "reportScannedSecrets" {
			continue // only GitHub can sign it
		}
		for _, body := range s.exampleBodies(name) {
			s.accepts(body)
		}
	}
}

// exampleBodies returns a request with each example of an operation's body.
func (s *session) exampleBodies(name string) []request {
	var all []request
	op := s.contract.operations[name]
	for _, example := range slices.Sorted(maps.Keys(op.bodies)) {
		body, _ := op.bodies[example].Value.Value.(map[string]any)
		all = append(all, request{operation: name, body: encode(op.media, s.ownValues(body)), why: "the contract's example " + example})
	}
	return all
}

// exampleParameters sends each parameter alone, because a cursor excludes a page.
func exampleParameters(s *session) {
	for _, name := range s.contract.names() {
		for _, parameter := range s.contract.operations[name].query {
			value := exampleOf(parameter.Value)
			if value == nil {
				s.fail("%s: the contract has no example of %s", name, parameter.Value.Name)
				continue
			}
			r := request{operation: name}
			if bodies := s.exampleBodies(name); len(bodies) > 0 {
				r = bodies[0]
			}
			r.query, r.why = encode(form, s.ownValues(fields{parameter.Value.Name: value})), "the contract's example"
			s.accepts(r)
		}
	}
}

// accepts sends a request about a new key with the scopes of the examples, and wants a success that
// the contract documents.
func (s *session) accepts(r request) {
	op := s.contract.operations[r.operation]
	if strings.Contains(op.path, "{owner}") {
		owner, reset := s.newOwner()
		if r.operation != "createOwnerLink" { // which sets nothing
			defer reset()
		}
		r.key = url.PathEscape(owner)
	}
	if strings.Contains(op.path, "{webhook_id}") {
		made, remove := s.newWebhook()
		r.key = text(made["id"])
		if r.operation != "deleteWebhook" {
			defer remove()
		}
	}
	if strings.Contains(op.path, "{key_name}") || r.operation == "forwardAuth" {
		key := s.create(s.keyBody().with("owner", s.run).with("scopes", []string{"datasets:read"}))
		r.key = key.id
		switch r.operation {
		case "forwardAuth":
			r.secret = key.secret
		case "getApiKeyHistory": // the example's time is before this key
			if strings.HasPrefix(r.query, "at=") {
				r.query = asOf(stamp(key.body["created_at"]))
			}
		}
	}
	a := s.mustSend(r)
	if a.status == http.StatusTooManyRequests {
		s.pause(s.retryAfter(a))
		a = s.mustSend(r)
	}
	if a.status >= http.StatusMultipleChoices {
		s.expect(op.success(), a)
	} else {
		s.expect(a.status, a) // which must be documented
	}
	switch r.operation {
	case "createApiKey":
		s.remember(a)
	case "createOwnerLink":
		_, token, _ := strings.Cut(text(a.body["url"]), "#")
		s.keepSecret(token)
	case "importApiKeys":
		s.rememberImported(a)
	case "createWebhook":
		s.keepSecret(text(a.body["secret"]))
		s.want(http.StatusOK, request{operation: "deleteWebhook", key: text(a.body["id"])})
	default:
		s.keepSecret(text(a.body["secret"]))
	}
}

// success returns the first successful status that an operation documents.
func (o operation) success() int {
	for status := http.StatusOK; status < http.StatusMultipleChoices; status++ {
		if o.responses.Status(status) != nil {
			return status
		}
	}
	return http.StatusOK
}

// ownValues replaces what must differ in each run, or may not be allowed here: names and owners, so
// that no key but our own is touched, and dates of expiry.
func (s *session) ownValues(example map[string]any) fields {
	own := make(fields)
	for name, value := range example {
		switch name {
		case "name":
			value = s.newName()
		case "owner":
			value = s.run
		case "url":
			value = nowhere
		case "expires_at":
			value = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		case "keys":
			value = s.ownRows(value)
		}
		own[name] = value
	}
	return own
}

// ownRows replaces the secrets of an import's rows, too: a secret is imported once.
func (s *session) ownRows(rows any) (own []any) {
	list, _ := rows.([]any)
	for _, row := range list {
		values := s.ownValues(object(row))
		secret := s.foreignSecret()
		if values["hash"] == nil {
			values["secret"] = secret
		} else {
			digest := sha256.Sum256([]byte(secret))
			values["hash"] = fmt.Sprintf("%x", digest)
		}
		own = append(own, values)
	}
	return own
}

const form = "application/x-www-form-urlencoded"

// encode returns values as a body of this media type.
func encode(media string, values fields) string {
	if media != form {
		return values.json()
	}
	encoded := make(url.Values)
	for name, value := range values {
		if several, ok := value.([]any); ok {
			for _, one := range several {
				encoded.Add(name, fmt.Sprint(one))
			}
			continue
		}
		encoded.Set(name, fmt.Sprint(value))
	}
	return encoded.Encode()
}

// exampleOf returns the example of a parameter, or one of its fixed values.
func exampleOf(p *openapi3.Parameter) any {
	schema := p.Schema.Value
	switch {
	case p.Example != nil:
		return p.Example
	case schema.Example != nil:
		return schema.Example
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	}
	return nil
}
