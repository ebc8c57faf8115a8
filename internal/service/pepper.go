package service

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"apikeyd/apikey"
	"apikeyd/store"
)

// maxPepper limits a pepper, so that a mistaken file is noticed.
const maxPepper = 4096

// pepper reads the pepper of imported HMACs: the file's bytes without a line end. Nil if there is none.
func (s *Settings) pepper() ([]byte, error) {
	if s.ImportPepperFile == "" {
		return nil, nil
	}
	pepper, err := readPepper(s.ImportPepperFile)
	if err != nil {
		return nil, fmt.Errorf("--import-pepper-file: %w", err)
	}
	return pepper, nil
}

func readPepper(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, end := range []byte("\n\r") {
		if n := len(text); n > 0 && text[n-1] == end {
			text = text[:n-1]
		}
	}
	if len(text) == 0 || len(text) > maxPepper {
		return nil, fmt.Errorf("%s must hold 1 to %d bytes", path, maxPepper)
	}
	return text, nil
}

// checkPepper logs if imported secrets cannot be verified.
func (s *Settings) checkPepper(ctx context.Context, db store.Foreign, log *slog.Logger) {
	if s.ImportPepperFile != "" {
		return
	}
	if schemes, err := db.ForeignSchemes(ctx); err == nil && slices.Contains(schemes, apikey.SchemeHMAC) {
		log.Warn("keys that were imported as hmac-sha256 cannot be verified: name the file with their pepper by --import-pepper-file")
	}
}
