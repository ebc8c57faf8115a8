package handlers_test

import (
	"context"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/handlers"
	signertest "apikeyd/internal/testkit/signer"
	"apikeyd/store"
)

const scanningPath = "/v1/secret-scanning/github"

// find is what GitHub found.
type find struct {
	Token  string `json:"token"`
	Type   string `json:"type"`
	URL    string `json:"url,omitempty"`
	Source string `json:"source,omitempty"`
}

// scanVerdict is what GitHub is told about a find.
type scanVerdict struct {
	Hash  string `json:"token_hash"`
	Type  string `json:"token_type"`
	Label string `json:"label"`
}

// withoutHashes removes the hashes of tokens from feedback.
func withoutHashes(feedback string) string {
	return regexp.MustCompile(`"token_hash":"[^"]{44}"`).ReplaceAllString(feedback, "")
}

func (f find) verdict(label string) scanVerdict {
	hash := sha256.Sum256([]byte(f.Token))
	return scanVerdict{base64.StdEncoding.EncodeToString(hash[:]), f.Type, label}
}

// scanned starts a service that receives what the signer signs.
func scanned(t *testing.T, configure ...func(*handlers.Config)) (*kit, signertest.Signer) {
	t.Helper()
	github := signertest.New(t, "github's")
	k := newKit(t, append(configure, func(c *handlers.Config) { c.ScanningKeys = signertest.Keys(t, github) })...)
	k.github = github
	return k, github
}

// scan sends finds as GitHub does.
func (k *kit) scan(by signertest.Signer, finds ...find) response {
	k.Helper()
	body, err := json.Marshal(finds)
	k.must(err)
	return k.signed(by, string(body))
}

func (k *kit) signed(by signertest.Signer, body string) response {
	k.Helper()
	return k.do(request{method: "POST", path: scanningPath, header: by.Header(k, body), body: body})
}

func (r response) judged(want ...scanVerdict) response {
	r.k.Helper()
	if want == nil {
		want = []scanVerdict{}
	}
	if diff := cmp.Diff(want, decode[[]scanVerdict](r.want(200))); diff != "" {
		r.k.Errorf("the verdicts differ (-want +got):\n%s", diff)
	}
	return r
}

// A signed batch ends what still works, says of each token whether it was issued here, and can be repeated.
func TestSecretScanning(t *testing.T) {
	t.Parallel()
	k, github := scanned(t)
	day := fields{"grace_seconds": 3600}
	create := func(name string) key {
		return k.mustCreate(k.admin, fields{"name": name, "owner": "team", "expires_at": k.in(24 * time.Hour)})
	}
	current, old, older, revoked, expired := create("current"), create("rotated"), create("older"), create("revoked"), create("expired")
	renewed := k.rotate(k.admin, keyPath(old.ID), day).want(200).key()
	for range 2 {
		k.rotate(k.admin, keyPath(older.ID), nil).want(200)
	}
	k.revoke(k.admin, keyPath(revoked.ID)).want(200)
	k.patch(k.admin, keyPath(expired.ID), fields{"expires_at": k.in(time.Second)}).want(200)
	k.clock.Advance(time.Second)
	finds := []find{
		{current.Secret, "acme_key", "https://github.com/o/r/blob/1/a.env", "content"},
		{old.Secret, "acme_key", "", "commit"},
		{older.Secret, "acme_key", "", ""},
		{revoked.Secret, "acme_key", "", ""},
		{expired.Secret, "acme_key", "", ""},
		{apikey.NewSecret("ak", apikey.NewID()).Reveal(), "acme_key", "", ""},
		{mistyped(k.admin.Secret), "acme_key", "", ""},
		{"hunter2", "another_type", "", ""},
		{"", "acme_key", "", ""},
		{current.Secret, "acme_key", "", ""}, // twice in a batch
	}
	k.secrets.add(finds[5].Token)
	const yes, no = "true_positive", "false_positive"
	want := []scanVerdict{
		finds[0].verdict(yes), finds[1].verdict(yes), finds[3].verdict(yes), finds[4].verdict(yes), finds[5].verdict(no),
		finds[6].verdict(no), finds[7].verdict(no), finds[8].verdict(no), finds[9].verdict(yes),
	}
	first := k.scan(github, finds...).judged(want...)
	state := k.everything()
	for _, name := range []string{"X-Request-Id", "Cache-Control"} {
		if first.header.Get(name) == "" {
			k.Errorf("no %s", name)
		}
	}
	k.get(current, keysPath).refused(401, "CREDENTIAL_REVOKED")
	k.get(old, keysPath).refused(401, "CREDENTIAL_INVALID")
	k.get(expired, keysPath).refused(401, "CREDENTIAL_REVOKED")
	if got := k.get(renewed, keyPath(old.ID)).want(200).key(); got.Status != "ACTIVE" || got.GraceEndsAt != "" {
		k.Errorf("the key with the leaked old secret is %+v", got)
	}
	got := k.get(k.admin, keyPath(current.ID)).want(200).key()
	if got.Reason != "key_compromise" {
		k.Errorf("the reason is %q", got.Reason)
	}
	events, err := k.db.AuditEvents(k.Context(), store.EventQuery{Limit: 3})
	k.must(err)
	for _, e := range events {
		if e.Action != store.ActionLeak || e.Via != "GitHub secret scanning" || e.Address != "127.0.0.1" ||
			e.RequestID != first.header.Get("X-Request-Id") {
			k.Errorf("the event is %+v", e)
		}
	}
	lines := strings.Join(k.logged(first.header.Get("X-Request-Id")), "\n")
	for _, part := range []string{"url=https://github.com/o/r/blob/1/a.env", "source=content", "source=commit", "key=" + current.ID} {
		if !strings.Contains(lines, part) {
			k.Errorf("no %q in the log:\n%s", part, lines)
		}
	}

	// The hash of an old secret is forgotten once it has ended.
	again := k.scan(github, finds...).judged(append(want[:1:1], want[2:]...)...)
	if lines := k.logged(again.header.Get("X-Request-Id")); len(lines) > 0 {
		k.Errorf("a repetition logged %q", lines)
	}
	if diff := cmp.Diff(state, k.everything()); diff != "" {
		k.Errorf("a repetition changed something (-before +after):\n%s", diff)
	}
	for name, secret := range map[string]string{"current": current.Secret, "old": old.Secret} {
		if strings.Contains(string(first.raw)+string(again.raw), secret) {
			k.Errorf("an answer repeats the %s secret", name)
		}
	}
}

func TestSecretScanningIsSigned(t *testing.T) {
	t.Parallel()
	k, github := scanned(t)
	larger, stranger := signertest.On(t, elliptic.P384(), github.ID), signertest.New(t, "stranger's")
	target := k.mustCreate(k.admin, fields{"name": "target"})
	body := fmt.Sprintf(`[{"token":%q,"type":"acme_key","url":"","source":"content"}]`, target.Secret)
	without := func(names ...string) http.Header {
		header := github.Header(t, body)
		for _, name := range names {
			header.Del(name)
		}
		return header
	}
	const signer, signature = "Github-Public-Key-Identifier", "Github-Public-Key-Signature"
	twice := without()
	twice.Add(signature, twice.Get(signature))
	admin := without(signature)
	admin.Set("X-Api-Key", k.admin.Secret)
	secret := without()
	secret.Set(signer, target.Secret)
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		part   string
	}{
		"no signature":          {without(signer, signature), body, "is not signed"},
		"no identifier":         {without(signer), body, "is not signed"},
		"an admin's key":        {admin, body, "is not signed"},
		"two signatures":        {twice, body, "is not signed"},
		"another's key":         {stranger.Header(t, body), body, "names no key"},
		"a secret for a name":   {secret, body, "names no key"},
		"another's signature":   {signertest.New(t, github.ID).Header(t, body), body, "does not match"},
		"on P-384":              {larger.Header(t, body), body, "does not match"},
		"one byte differs":      {without(), strings.Replace(body, "acme", "acne", 1), "does not match"},
		"a space more":          {without(), body + " ", "does not match"},
		"not JSON":              {without(), "{", "does not match"},
		"another Content-Type":  {http.Header{"Content-Type": {"text/plain"}}, body, "is not signed"},
		"63 KiB":                {without(), strings.Repeat(" ", 63<<10), "does not match"},
		"more than 1000 values": {without(), "[" + strings.Repeat("1,", 2000) + "1]", "does not match"},
	} {
		k.Run(name, func(k *kit) {
			k.clock.Advance(time.Minute) // so that the limit does not apply
			for _, chunked := range []bool{false, true} {
				answer := k.do(request{method: "POST", path: scanningPath, header: tt.header, body: tt.body, chunked: chunked, foreign: true})
				refused := answer.refused(401, "SIGNATURE_INVALID")
				answer.wantHeader("WWW-Authenticate", `Signature realm="apikeyd"`)
				if !strings.Contains(refused.Message, tt.part) {
					k.Errorf("the message is %q, want %q", refused.Message, tt.part)
				}
			}
		})
	}
	k.get(target, keysPath).want(200)
	k.signed(github, body).want(200)
	k.get(target, keysPath).refused(401, "CREDENTIAL_REVOKED")
}

// What is signed must still be what the contract allows, and is not throttled.
func TestSignedScansAreChecked(t *testing.T) {
	t.Parallel()
	k, github := scanned(t)
	k.signed(github, `[]`).judged()
	k.signed(github, `[{"token":"s","type":"t","url":"","source":"x","new":{"a":[1,null]}}]`).judged(find{Token: "s", Type: "t"}.verdict("false_positive"))
	for name, tt := range map[string]struct{ body, field string }{
		"an object":     {`{"token":"s","type":"t"}`, "body"},
		"no token":      {`[{"type":"t"}]`, "0.token"},
		"no type":       {`[{"token":"s","type":"t"},{"token":"s"}]`, "1.type"},
		"a number":      {`[{"token":1,"type":"t"}]`, "0.token"},
		"token twice":   {`[{"token":"s","token":"s","type":"t"}]`, "body"},
		"trailing data": {`[] []`, "body"},
		"251 finds":     {"[" + strings.Repeat(`{"token":"s","type":"t"},`, 250) + `{"token":"s","type":"t"}]`, "body"},
		"6,000 values":  {"[" + strings.Repeat("1,", 6000) + "1]", "body"},
	} {
		k.Run(name, func(k *kit) {
			r := request{method: "POST", path: scanningPath, header: github.Header(t, tt.body), body: tt.body, foreign: true}
			for range 40 {
				k.do(r).invalid(tt.field)
			}
		})
	}
	big := "[]" + strings.Repeat(" ", 64<<10)
	k.do(request{method: "POST", path: scanningPath, header: github.Header(t, big), body: big, foreign: true}).refused(413, "BODY_TOO_LARGE")
	zipped := github.Header(t, "[]")
	zipped.Set("Content-Encoding", "gzip")
	k.do(request{method: "POST", path: scanningPath, header: zipped, body: "[]", foreign: true}).refused(415, "BODY_ENCODED")
	k.do(request{method: "POST", path: scanningPath + "?x=1", header: github.Header(t, "[]"), body: "[]", foreign: true}).invalid("x")
}

// A batch as large as 64 KiB allow: a hundred keys with long URLs, and 250 finds without any.
func TestLargeScans(t *testing.T) {
	t.Parallel()
	k, github := scanned(t)
	var finds []find
	var want []scanVerdict
	for i := range 100 {
		made := k.mustCreate(k.admin, fields{"name": fmt.Sprint("key ", i)})
		f := find{made.Secret, "acme_key", "https://github.com/" + strings.Repeat("o", 400), "content"}
		finds, want = append(finds, f), append(want, f.verdict("true_positive"))
	}
	k.scan(github, finds...).judged(want...)
	for _, f := range finds {
		k.get(key{Secret: f.Token}, keysPath).refused(401, "CREDENTIAL_REVOKED")
	}
	many := strings.TrimSuffix(strings.Repeat(`{"token":"s","type":"t","url":"u","source":"x"},`, 250), ",")
	if got := decode[[]scanVerdict](k.signed(github, "["+many+"]").want(200)); len(got) != 250 {
		k.Errorf("%d verdicts", len(got))
	}
}

func TestUnsignedScansAreSlowedDown(t *testing.T) {
	t.Parallel()
	k, github := scanned(t)
	bad := github.Header(t, "[]")
	unsigned := request{method: "POST", path: scanningPath, header: bad, body: "[ ]", foreign: true}
	huge := request{method: "POST", path: scanningPath, header: bad, body: strings.Repeat(" ", 65<<10), foreign: true}
	for range 15 {
		k.do(unsigned).refused(401, "SIGNATURE_INVALID")
		k.do(huge).refused(413, "BODY_TOO_LARGE")
	}
	k.do(unsigned).refused(429, "TOO_MANY_REQUESTS")
	k.do(huge).refused(429, "TOO_MANY_REQUESTS")
	k.do(request{method: "POST", path: scanningPath, foreign: true}).refused(429, "TOO_MANY_REQUESTS")
	for range 40 { // what is signed passes
		k.signed(github, "[]").judged()
	}
	k.report("s").thanked() // has a limit of its own
	k.clock.Advance(time.Minute)
	k.do(unsigned).refused(401, "SIGNATURE_INVALID")
}

func TestScanningIsOff(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	github := signertest.New(t, "github's")
	for range 40 { // costs nothing, and so is not throttled
		k.signed(github, `[{"token":"s","type":"t"}]`).refused(404, "SCANNING_OFF")
	}
	k.do(request{method: "POST", path: scanningPath, body: strings.Repeat("[", 1<<17), foreign: true}).refused(404, "SCANNING_OFF")
}

// failingOnce is a store that cannot end one key's secret.
type failingOnce struct {
	store.Store
	fails func(apikey.ID) error
}

func (s failingOnce) EndSecret(ctx context.Context, actor store.Actor) (apikey.Key, error) {
	if err := s.fails(actor.Key); err != nil {
		return apikey.Key{}, err
	}
	return s.Store.EndSecret(ctx, actor)
}

// A batch of which a part fails is answered with an error, so that GitHub repeats it; the rest is done.
func TestScansInTrouble(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fail   error
		status int
		code   string
	}{
		"unavailable":                   {store.ErrUnavailable, 503, "UNAVAILABLE"},
		"an unknown outcome":            {store.ErrUncertain, 503, "OUTCOME_UNKNOWN"},
		"an error that nobody expected": {errors.New("the cause"), 500, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			broken := map[string]error{}
			k, github := scanned(t, func(c *handlers.Config) {
				c.Store = failingOnce{storeOf(c), func(id apikey.ID) error {
					mu.Lock()
					defer mu.Unlock()
					return broken[id.String()]
				}}
			})
			var made [3]key
			var finds []find
			for i := range made {
				made[i] = k.mustCreate(k.admin, fields{"name": fmt.Sprint(i)})
				finds = append(finds, find{Token: made[i].Secret, Type: "acme_key"})
			}
			mu.Lock()
			broken[made[1].ID] = tt.fail
			mu.Unlock()
			body, err := json.Marshal(finds)
			k.must(err)
			send := request{method: "POST", path: scanningPath, header: github.Header(t, string(body)), body: string(body), failing: true}
			k.do(send).refused(tt.status, tt.code)
			k.get(made[0], keysPath).refused(401, "CREDENTIAL_REVOKED")
			k.get(made[1], keysPath).want(200)
			k.get(made[2], keysPath).refused(401, "CREDENTIAL_REVOKED")
			mu.Lock()
			clear(broken)
			mu.Unlock()
			k.do(send).judged(finds[0].verdict("true_positive"), finds[1].verdict("true_positive"), finds[2].verdict("true_positive"))
			k.get(made[1], keysPath).refused(401, "CREDENTIAL_REVOKED")
		})
	}
}

// A key that is rotated while its secret is reported ends with no secret that was reported and still works.
func TestScanAmidRotation(t *testing.T) {
	t.Parallel()
	k, github := scanned(t)
	for i := range 20 {
		made := k.mustCreate(k.admin, fields{"name": fmt.Sprint(i), "expires_at": k.in(24 * time.Hour)})
		var both sync.WaitGroup
		both.Go(func() {
			if status := k.rotate(k.admin, keyPath(made.ID), fields{"grace_seconds": 3600}).status; status != 200 && status != 409 {
				k.Errorf("the rotation answers %d", status)
			}
		})
		both.Go(func() {
			f := find{Token: made.Secret, Type: "acme_key"}
			k.scan(github, f).judged(f.verdict("true_positive"))
		})
		both.Wait()
		if got := k.get(made, keysPath); got.status != 401 {
			k.Errorf("the reported secret gets %d", got.status)
		}
	}
}

// Secrets in the parts of a find that are logged or answered are redacted; newKit looks into the log.
func TestScansKeepSecrets(t *testing.T) {
	t.Parallel()
	k, github := scanned(t)
	made := k.mustCreate(k.admin, fields{"name": "a"})
	answer := k.scan(github, find{made.Secret, "type " + made.Secret, "https://github.com/x?key=" + made.Secret, made.Secret},
		find{k.admin.Secret[1:], k.admin.Secret, k.admin.Secret, k.admin.Secret}).want(200)
	if k.secrets.in(withoutHashes(string(answer.raw))) {
		k.Errorf("the answer holds a secret: %s", answer.raw)
	}
	if lines := k.logged(answer.header.Get("X-Request-Id")); len(lines) != 1 || !strings.Contains(lines[0], "redacted") {
		k.Errorf("logged %q", lines)
	}
	bad := k.do(request{method: "POST", path: scanningPath, header: http.Header{
		"Github-Public-Key-Identifier": {k.admin.Secret}, "Github-Public-Key-Signature": {k.admin.Secret},
	}, body: k.admin.Secret, foreign: true}).refused(401, "SIGNATURE_INVALID")
	if k.secrets.in(bad.Message) {
		k.Errorf("the refusal holds a secret: %s", bad.Message)
	}
}
