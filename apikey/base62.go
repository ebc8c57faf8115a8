package apikey

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// base62Value returns the value of one digit, or -1.
func base62Value(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 36
	}
	return -1
}

// putBase62 fills dst with the number hi<<64+lo, most significant digit first,
// padded with zeros. The number must fit.
func putBase62(dst []byte, hi, lo uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		var digit uint64
		hi, digit = hi/62, hi%62
		lo, digit = bits.Div64(digit, lo, 62)
		dst[i] = base62Digits[digit]
	}
}

// parseBase62 is the inverse of putBase62. It reports false for a foreign
// character and for a number of more than 128 bits.
func parseBase62(s string) (hi, lo uint64, ok bool) {
	for i := range len(s) {
		v := base62Value(s[i])
		if v < 0 {
			return 0, 0, false
		}
		overflow, h := bits.Mul64(hi, 62)
		carryHi, l := bits.Mul64(lo, 62)
		var carry uint64
		lo, carry = bits.Add64(l, uint64(v), 0)
		hi, carry = bits.Add64(h, carryHi, carry)
		if overflow != 0 || carry != 0 {
			return 0, 0, false
		}
	}
	return hi, lo, true
}

// randomBase62 fills dst with digits of equal probability. Bytes from 248 up are
// thrown away, since 256 is not a multiple of 62.
func randomBase62(dst []byte) {
	buf := make([]byte, len(dst)+8)
	for n := 0; n < len(dst); {
		_, _ = rand.Read(buf) // never fails (crypto/rand)
		for _, b := range buf {
			if b < 248 && n < len(dst) {
				dst[n] = base62Digits[b%62]
				n++
			}
		}
	}
}

// idDigits writes an id last byte first, so that the first digits of a secret
// come from its random end and differ from key to key.
func idDigits(dst []byte, id ID) {
	r := reverse(id)
	putBase62(dst, binary.BigEndian.Uint64(r[:8]), binary.BigEndian.Uint64(r[8:]))
}

func parseIDDigits(s string) (ID, bool) {
	hi, lo, ok := parseBase62(s)
	if !ok {
		return ID{}, false
	}
	var r ID
	binary.BigEndian.PutUint64(r[:8], hi)
	binary.BigEndian.PutUint64(r[8:], lo)
	id := reverse(r)
	return id, id.isV7()
}

func reverse(id ID) ID {
	for i, j := 0, len(id)-1; i < j; i, j = i+1, j-1 {
		id[i], id[j] = id[j], id[i]
	}
	return id
}
