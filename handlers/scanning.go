package handlers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/signingkeys"
	"apikeyd/store"
)

// Signatures verifies who signed a body.
type Signatures interface {
	// Verify returns nil, signingkeys.ErrUnknownKey or signingkeys.ErrBadSignature.
	Verify(ctx context.Context, keyID, signature string, body []byte) error
}

// The headers with GitHub's signature.
const (
	signerHeader    = "Github-Public-Key-Identifier"
	signatureHeader = "Github-Public-Key-Signature"
)

// signedOperation is the operation whose body is signed.
const signedOperation = "reportScannedSecrets"

// codeSignature is the error code of a request without a valid signature.
const codeSignature = "SIGNATURE_INVALID"

// maxSignedValues limits a signed body's JSON tokens: as many as 64 KiB of finds can hold. maxValues is for
// strangers.
const maxSignedValues = 5000

var errScanningOff = errors.New("this service does not receive GitHub's secret scanning; " +
	"its operator can switch that on with --secret-scanning-keys")

var (
	errNotSigned = &credentialError{codeSignature,
		"the request is not signed; send each of " + signerHeader + " and " + signatureHeader + " once"}
	errUnknownSigner = &credentialError{codeSignature,
		signerHeader + " names no key that this service knows; see --secret-scanning-keys"}
	errBadSignature = &credentialError{codeSignature,
		signatureHeader + " does not match the body; sign exactly the bytes that are sent, with ECDSA on P-256 and SHA-256, " +
			"and send the base64 of the ASN.1 form"}
)

// requireSignature is the middleware that lets only signed bodies pass. It counts the others against a limit
// of their own; a valid signature always passes.
func (s *Server) requireSignature(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.ScanningKeys == nil {
			return errScanningOff
		}
		r := c.Request()
		body, err := s.signedBody(c.Response(), r)
		if err != nil {
			if tooMany := s.unsigned.check(exchangeOf(r.Context()).address, s.Now()); tooMany != nil {
				return tooMany
			}
			return err
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return next(c)
	}
}

// signedBody returns the bytes of a body whose signature is valid.
func (s *Server) signedBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	signers, signatures := r.Header[signerHeader], r.Header[signatureHeader]
	if len(signers) != 1 || len(signatures) != 1 {
		return nil, errNotSigned
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	switch err := s.ScanningKeys.Verify(r.Context(), signers[0], signatures[0], body); {
	case errors.Is(err, signingkeys.ErrUnknownKey):
		return nil, errUnknownSigner
	case err != nil:
		return nil, errBadSignature
	}
	return body, nil
}

// ReportScannedSecrets implements the operation reportScannedSecrets. One token that fails does not keep the
// others from being ended; GitHub repeats the batch.
func (s *Server) ReportScannedSecrets(
	ctx context.Context, request gen.ReportScannedSecretsRequestObject,
) (gen.ReportScannedSecretsResponseObject, error) {
	x := exchangeOf(ctx)
	feedback := make(gen.ScanFeedback, 0, len(*request.Body))
	var failure error
	for _, found := range *request.Body {
		origin, err := s.endLeaked(ctx, found.Token, x, "GitHub secret scanning",
			"url", loggable(textOf(found.Url)), "source", loggable(textOf(found.Source)))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			failure = err
			continue
		}
		if origin == unclear {
			continue
		}
		label := gen.ScanLabelFalsePositive
		if origin == issued {
			label = gen.ScanLabelTruePositive
		}
		hash := sha256.Sum256([]byte(found.Token))
		feedback = append(feedback, gen.ScanVerdict{
			Label: label, TokenHash: base64.StdEncoding.EncodeToString(hash[:]), TokenType: apikey.Redact(found.Type),
		})
	}
	if failure != nil {
		return nil, failure
	}
	return gen.ReportScannedSecrets200JSONResponse{Body: feedback}, nil
}

// textOf returns an optional text, or "".
func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
