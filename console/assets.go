package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed assets/*.css assets/*.js assets/*.svg
var assetFiles embed.FS

// asset is a file whose content never changes under its address.
type asset struct {
	content, gzipped []byte
	mediaType        string
	address          string // contains a hash of the content, so that browsers may cache it forever
}

// mediaTypes do not depend on the machine's configuration, whose types browsers might refuse.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// assets are the files that pages load, by name.
type assets map[string]asset

func loadAssets() (assets, error) {
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	all := make(assets, len(files))
	for _, file := range files {
		content, err := assetFiles.ReadFile("assets/" + file.Name())
		if err != nil {
			return nil, err
		}
		var gzipped bytes.Buffer
		zip, _ := gzip.NewWriterLevel(&gzipped, gzip.BestCompression) // a valid level
		if _, err := zip.Write(content); err != nil {
			return nil, err
		}
		if err := zip.Close(); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(content)
		all[file.Name()] = asset{
			content: content, gzipped: gzipped.Bytes(),
			mediaType: mediaTypes[path.Ext(file.Name())],
			address:   fmt.Sprintf("%s/assets/%s?v=%s", Path, file.Name(), hex.EncodeToString(sum[:6])),
		}
	}
	return all, nil
}

// ServeHTTP serves an asset. Assets contain nothing private, so they may be compressed. Pages must
// not be: a stranger could put text into them and learn from their size (BREACH).
func (a assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := a[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", found.mediaType)
	header.Set("Vary", "Accept-Encoding")
	header.Set("Cache-Control", "no-cache")
	if strings.HasSuffix(found.address, "?"+r.URL.RawQuery) {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	content := found.content
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		content = found.gzipped
	}
	header.Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content) // the browser may have gone
}
