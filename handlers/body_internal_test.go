package handlers

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// roomy records the largest buffer that was offered before anything was read.
type roomy struct {
	io.Reader
	read, room int
}

func (r *roomy) Read(p []byte) (int, error) {
	if r.read == 0 {
		r.room = max(r.room, len(p))
	}
	n, err := r.Reader.Read(p)
	r.read += n
	return n, err
}

// A body that was only announced takes no memory: thousands of connections can announce one.
func TestAnnouncedBodiesGetNoRoom(t *testing.T) {
	for _, size := range []int{1, maxPromised, maxPromised + 1, maxBodySize} {
		content := bytes.Repeat([]byte("x"), size)
		body := &roomy{Reader: bytes.NewReader(content)}
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.ContentLength = int64(size)
		data, err := readBody(httptest.NewRecorder(), r)
		if err != nil || !bytes.Equal(data, content) {
			t.Errorf("%d bytes were read as %d: %v", size, len(data), err)
		}
		if body.room > maxPromised {
			t.Errorf("%d announced bytes got room for %d", size, body.room)
		}
	}
}
