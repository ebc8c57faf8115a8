package console_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"apikeyd/console"
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

// It shows the nodes and the last backup, as far as there are any.
func TestServerPageOnNodesAndBackups(t *testing.T) {
	t.Parallel()
	const noBackup, elsewhere, nodes = "No backup made yet with <code>apikeyd backup</code>", "Not known: PostgreSQL is backed up with its own tools", "Nodes that serve this database"
	now := time.Now()
	for name, tt := range map[string]struct {
		about       console.About
		want, lacks []string
	}{
		"a file without a backup": {console.About{}, []string{noBackup}, []string{nodes, elsewhere}},
		"a file with one": {
			console.About{LastBackup: now.Add(-3 * time.Hour)}, []string{"Last backup</dt><dd><time ", ">3 hours ago</time>"}, []string{noBackup, nodes, elsewhere},
		},
		"two nodes": {
			console.About{BackupsElsewhere: true, Nodes: []console.Node{{Name: "<a>", Since: now.Add(-2 * time.Hour)}, {Name: "b", Since: now, Self: true}}},
			[]string{elsewhere, nodes, "<bdi>&lt;a&gt;</bdi></th>", ">2 hours ago</time>", "<bdi>b</bdi><small>answered this page</small></th>"}, []string{noBackup},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, options{console: func(c *console.Config) {
				c.About = func(context.Context) (console.About, error) { return tt.about, nil }
			}})
			page := k.adminVisitor().get("/console/server").want(http.StatusOK, tt.want...)
			for _, text := range tt.lacks {
				page.lacks(text)
			}
		})
	}
	k := newKit(t, options{console: func(c *console.Config) {
		c.About = func(context.Context) (console.About, error) {
			return console.About{}, errors.New("the note is unreadable")
		}
	}})
	k.adminVisitor().get("/console/server").want(http.StatusInternalServerError).lacks("unreadable")
}
