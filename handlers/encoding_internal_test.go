package handlers

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// encodings are the hand-written encoders, each with an answer to write.
func encodings(key gen.ApiKeyResponse, created gen.ApiKeyWithSecretResponse, list gen.ApiKeyListResponse,
	verified gen.VerifyResponse,
) map[string]struct {
	ours  func([]byte) []byte
	value any
} {
	return map[string]struct {
		ours  func([]byte) []byte
		value any
	}{
		"key":     {keyAnswerOf(key).encode, key},
		"created": {secretAnswerOf(201, "", created).encode, created},
		"list":    {listAnswerOf(list).encode, list},
		"verify":  {verifyAnswerOf(verified).encode, verified},
	}
}

// answersFrom makes answers of every kind: each optional property there or not, each text
// one of the given.
func answersFrom(seed uint64, texts ...string) (
	gen.ApiKeyResponse, gen.ApiKeyWithSecretResponse, gen.ApiKeyListResponse, gen.VerifyResponse,
) {
	random := rand.New(rand.NewPCG(seed, 0))
	text := func() string { return texts[random.IntN(len(texts))] }
	instant := func() time.Time { return time.UnixMilli(random.Int64N(253402300800000)).UTC() }
	maybe := func() time.Time {
		if random.IntN(2) == 0 {
			return time.Time{}
		}
		return instant()
	}
	key := func() *apikey.Key {
		k := &apikey.Key{
			ID: apikey.ID(uuid.New()), Owner: text(), Name: text(), Prefix: text(), CreatedAt: instant(),
			ExpiresAt: instant(), RevokedAt: maybe(), LastUsedAt: maybe(), OldSecretUntil: maybe(),
			Metadata: apikey.Metadata{}, Scopes: apikey.Scopes{},
		}
		for range random.IntN(4) {
			k.Scopes = append(k.Scopes, text())
			k.Metadata[text()] = text()
		}
		if random.IntN(2) == 0 {
			k.RateLimit = apikey.RateLimit{Limit: random.IntN(1e6) + 1, Window: time.Duration(random.IntN(86400)+1) * time.Second}
		}
		return k
	}
	now := instant()
	one := keyResponse(key(), now)
	list := gen.ApiKeyListResponse{Data: []gen.ApiKeyResponse{}, Pagination: gen.Pagination{
		TotalPages: random.IntN(1e6), CurrentPage: random.IntN(1e6), ItemsPerPage: random.IntN(100),
	}}
	if random.IntN(2) == 0 {
		list.Pagination.NextCursor = new(text())
	}
	for range random.IntN(4) {
		list.Data = append(list.Data, keyResponse(key(), now))
	}
	verified := gen.VerifyResponse{Valid: random.IntN(2) == 0, Code: gen.VerifyCode(text())}
	if random.IntN(2) == 0 {
		verified.Key = &one
	}
	if seconds := random.IntN(1000); seconds > 500 {
		verified.RetryAfterSeconds = &seconds
	}
	return one, secretResponse(key(), apikey.NewSecret("ak", apikey.NewID()), now), list, verified
}

func checkEncodings(t *testing.T, seed uint64, texts ...string) {
	t.Helper()
	for name, tt := range encodings(answersFrom(seed, texts...)) {
		var want bytes.Buffer
		if err := json.NewEncoder(&want).Encode(tt.value); err != nil {
			t.Fatal(err)
		}
		if got := append(tt.ours(nil), '\n'); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s of seed %d is\n%s, want\n%s", name, seed, got, want.Bytes())
		}
	}
}

// What is written by hand is what encoding/json writes, byte for byte.
func TestEncoding(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		checkEncodings(t, seed, "plain", "", `"\/`, "<a&b>", "é🙂", "a\u2028b", "\x00\x1f\x7f\n", "\xff\xfe", strings.Repeat("long ", 100))
	}
}

func FuzzEncoding(f *testing.F) {
	f.Add(uint64(1), "plain", "é<>&\"\\")
	f.Fuzz(func(t *testing.T, seed uint64, a, b string) { checkEncodings(t, seed, a, b) })
}
