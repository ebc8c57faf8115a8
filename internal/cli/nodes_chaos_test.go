//go:build full

package cli

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var leastProofs = flag.Int("proofs", 10, "how many changes are proven on every node, at least, for each fault")

// Three nodes on one PostgreSQL under a mixed load: whatever fails, no acknowledged change is lost,
// and from its answer on no node uses the old state.
func TestChaosNodes(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	admin, m, l := st.front.adminKey(), &meter{}, newLoad(t)
	p := &proofs{t: t, site: st, meter: m, admin: admin}
	m.begin("none")
	l.seen = func(status int, err error) { m.note(true, status, err) }
	stop := make(chan struct{})
	var clients sync.WaitGroup
	halt := sync.OnceFunc(func() {
		close(stop)
		clients.Wait()
	})
	t.Cleanup(halt)
	clients.Go(func() { l.run(st.front, 4, stop, func() { time.Sleep(10 * time.Millisecond) }) })
	for range 4 {
		clients.Go(func() { st.verify(admin, m, stop) })
	}

	var table strings.Builder
	table.WriteString(tableHead)
	during := func(fault string, happens func()) *faultRow {
		p.fill(*leastProofs)
		m.begin(fault)
		over, proven := make(chan struct{}), make(chan struct{})
		end := sync.OnceFunc(func() {
			close(over)
			<-proven
		})
		go func() {
			defer close(proven)
			p.run(*leastProofs, over)
		}()
		happened := false
		defer func() {
			p.abandoned.Store(!happened) // the fault's own steps failed and ended the test
			end()
		}()
		happens()
		st.ready()
		happened = true
		end()
		r := m.begin("none")
		table.WriteString(r.String())
		return r
	}

	if r := during("none", func() {}); len(r.errors) > 0 || r.waived > 0 {
		t.Errorf("there are errors without a fault: clients saw %v, and nodes could not say %d times", r.errors, r.waived)
	}
	during("kill -9 of each node in turn", func() { p.endInTurn(syscall.SIGKILL) })
	if r := during("restart of each node in turn (SIGTERM)", func() { p.endInTurn(syscall.SIGTERM) }); len(r.errors) > 0 {
		t.Errorf("clients saw errors of a rolling restart: %v", r.errors)
	}
	for i, fault := range []wireState{closed, silent} {
		n := st.nodes[i]
		during(fmt.Sprintf("node %s cut off from the database (%s)", n.name, fault), func() {
			st.cut(n, fault)
			st.unsure(admin, n)
			p.more()
			st.cut(n, whole)
		})
	}
	during("loss of the primary, promotion of the standby", func() { st.failOver(admin) })
	during("none, after it", func() {})

	halt()
	t.Logf("\n%s", table.String())
	for i, n := range st.nodes {
		var keys []*tracked
		for j := i; j < len(l.keys); j += len(st.nodes) {
			keys = append(keys, l.keys[j])
		}
		l.check(n.server, keys, false)
	}
	p.check()
	l.checkAudit(st.front)
	if !t.Failed() {
		l.report("faults of several nodes", 1)
	}
	chains := st.front.command("audit", "verify")
	for _, n := range st.nodes {
		if !strings.Contains(chains, "chain "+n.name+": ") {
			t.Errorf("node %s has no chain of events:\n%s", n.name, chains)
		}
		must(t, n.terminate())
	}
}

// verify verifies a good key continuously: the answer is VALID or an error.
func (st *site) verify(admin string, m *meter, stop <-chan struct{}) {
	var took time.Duration
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(max(3*time.Millisecond, took)):
		}
		var a answer
		var err error
		began := time.Now()
		if i%2 == 0 {
			a, err = st.front.try("POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, admin))
			if err == nil && a.status == http.StatusOK && a.Code != "VALID" {
				st.t.Errorf("a good key is %s", a.Code)
			}
		} else {
			a, _ = st.front.try("GET", "/v1/forward-auth", admin, "") // there is no body to read
		}
		took = time.Since(began)
		if a.status/100 == 4 {
			st.t.Errorf("a good key is refused: %d %s", a.status, a.body)
		}
		m.note(false, a.status, err)
	}
}

// endInTurn stops each node, and starts it again once clients noticed.
func (p *proofs) endInTurn(signal syscall.Signal) {
	st := p.site
	for _, n := range st.nodes {
		if signal == syscall.SIGTERM {
			st.drain(n)
		}
		must(st.t, n.cmd.Process.Signal(signal))
		<-n.exited
		if code := n.cmd.ProcessState.ExitCode(); signal == syscall.SIGTERM && code != exitOK {
			st.t.Errorf("exit status %d after SIGTERM:\n%s", code, n.output.End())
		}
		p.more()
		st.start(n)
		st.ready()
	}
}

// failOver ends the primary like a power failure, waits until every node refuses, and promotes the
// standby.
func (st *site) failOver(admin string) {
	for _, n := range st.nodes {
		n.wires[0].become(silent)
	}
	st.primary.Kill()
	st.unsure(admin, st.nodes...)
	response, err := st.nodes[0].send("POST", "/v1/api-keys", admin, keyJSON("without a database"))
	must(st.t, err)
	must(st.t, response.Body.Close())
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		st.t.Errorf("a change without a database is answered with %d, Retry-After %q",
			response.StatusCode, response.Header.Get("Retry-After"))
	}
	st.standby.Promote(st.t)
	promoted := time.Now()
	st.eventually("changes are made again", func() bool {
		a, err := st.front.try("POST", "/v1/api-keys", admin, keyJSON("after the failover"))
		return err == nil && a.status == http.StatusCreated
	})
	st.t.Logf("the first change came %s after the promotion", time.Since(promoted).Round(time.Millisecond))
	st.ready()
	for _, n := range st.nodes {
		n.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("after the failover, at node "+n.name))
	}
}

// unsure waits until nodes refuse to verify a key, which is good.
func (st *site) unsure(admin string, nodes ...*node) {
	st.t.Helper()
	var waiting sync.WaitGroup
	for _, n := range nodes {
		waiting.Go(func() {
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				a, err := n.try("POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, admin))
				if err == nil && a.status == http.StatusServiceUnavailable {
					return
				}
			}
			st.t.Errorf("node %s goes on to say whether a key is good", n.name)
		})
	}
	waiting.Wait()
}
