package console_test

import (
	"net/http"
	"testing"
)

// An administrator sees what the server is, and its settings with those that were changed first.
func TestServerPage(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	k.adminVisitor().get("/console/server").want(http.StatusOK, "v1.2.3", "keys.db", "1.2 MB", "--listen", "127.0.0.1:9000", "Where it &lt;listens&gt;.", "--node", "not set")
	v := k.visitor()
	v.signIn(k.owner)
	v.get("/console").lacks("/console/server")
	v.get("/console/server").want(http.StatusForbidden, "Your key may not see it").lacks("keys.db")
}
