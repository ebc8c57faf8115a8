package metrics

import (
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// connections counts a server's connections by state.
type connections struct {
	mu       sync.Mutex
	accepted uint64
	states   map[net.Conn]http.ConnState // of open connections
	open     [http.StateClosed]int       // number of connections in each state
}

var (
	openConnections = describe("apikeyd_http_connections",
		"Open connections: new ones have sent nothing yet, active ones have a request, idle ones had one.", "state")
	acceptedConnections = describe("apikeyd_http_connections_total",
		"Accepted connections.")
)

func newConnections() *connections {
	return &connections{states: make(map[net.Conn]http.ConnState)}
}

// changed is a server's ConnState hook.
func (c *connections) changed(conn net.Conn, to http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from, known := c.states[conn]; known {
		c.open[from]--
	} else {
		c.accepted++
	}
	if to == http.StateClosed || to == http.StateHijacked {
		delete(c.states, conn)
		return
	}
	c.states[conn] = to
	c.open[to]++
}

// Describe implements prometheus.Collector.
func (c *connections) Describe(to chan<- *prometheus.Desc) {
	to <- openConnections
	to <- acceptedConnections
}

// Collect implements prometheus.Collector.
func (c *connections) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	accepted, open := c.accepted, c.open
	c.mu.Unlock()
	to <- counter(acceptedConnections, accepted)
	for _, state := range []http.ConnState{http.StateNew, http.StateActive, http.StateIdle} {
		to <- gauge(openConnections, open[state], state.String())
	}
}
