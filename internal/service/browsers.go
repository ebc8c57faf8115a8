package service

import (
	"fmt"
	"net/url"
	"strings"
)

// browserFlags say what scripts in browsers may do.
type browserFlags struct {
	CORSOrigins          []corsOrigin `name:"cors-origin" env:"APIKEYD_CORS_ORIGIN" placeholder:"ORIGIN" help:"Origins whose scripts may call the API from a browser, such as https://app.example.com (none); may be repeated. Each one exactly, without wildcards."`
	ForwardAuthPreflight string       `enum:"deny,pass" default:"deny" env:"APIKEYD_FORWARD_AUTH_PREFLIGHT" placeholder:"CHOICE" help:"Whether forward-auth lets a browser's preflight (OPTIONS), which carries no key, pass or not: deny, pass (${default})."`
}

const passPreflight = "pass"

func (f browserFlags) corsOrigins() []string {
	origins := make([]string, len(f.CORSOrigins))
	for i, origin := range f.CORSOrigins {
		origins[i] = string(origin)
	}
	return origins
}

// corsOrigin is an origin as browsers write it, because it is compared byte for byte.
type corsOrigin string

// UnmarshalText parses one origin; kong splits the list.
func (o *corsOrigin) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	u, err := url.Parse(word)
	switch {
	case word == "*" || strings.Contains(word, "*"):
		return fmt.Errorf("%q has a wildcard; name each origin", word)
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return fmt.Errorf("%q is not an origin, such as https://app.example.com", word)
	}
	host := strings.ToLower(u.Host)
	if port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]; strings.HasSuffix(host, port) {
		host = strings.TrimSuffix(host, port)
	}
	if exact := u.Scheme + "://" + host; exact != word {
		return fmt.Errorf("%q is not written as browsers do; write %s", word, exact)
	}
	*o = corsOrigin(word)
	return nil
}
