package apikey

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// notBase62 is the value of a byte that is not a digit.
const notBase62 = 0xff

// base62Values holds the value of each byte. It is a constant string, because an array would be mutable.
const base62Values = "" +
	no16 + no16 + no16 + "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09" + no6 +
	no1 + "\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18" +
	"\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23" + no5 +
	no1 + "\x24\x25\x26\x27\x28\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32" +
	"\x33\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d" + no5 +
	no16 + no16 + no16 + no16 + no16 + no16 + no16 + no16

const (
	no1  = "\xff"
	no5  = no1 + no1 + no1 + no1 + no1
	no6  = no5 + no1
	no16 = no5 + no5 + no6
)

// isBase62 reports whether s has only digits.
func isBase62(s string) bool {
	var all byte
	for i := range len(s) {
		all |= base62Values[s[i]]
	}
	return all != notBase62 // the values of digits have six bits
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

// parseBase62 is the inverse of putBase62. It reports false for other characters and for numbers of more
// than 128 bits.
func parseBase62(s string) (hi, lo uint64, ok bool) {
	const chunk = 10 // as many digits as fit a uint64
	var all byte
	for len(s) > 0 {
		n := min(chunk, len(s))
		value, scale := uint64(0), uint64(1)
		for i := range n {
			digit := base62Values[s[i]]
			all |= digit
			value = value*62 + uint64(digit)
			scale *= 62
		}
		s = s[n:]
		overflow, h := bits.Mul64(hi, scale)
		carryHi, l := bits.Mul64(lo, scale)
		var carry uint64
		lo, carry = bits.Add64(l, value, 0)
		hi, carry = bits.Add64(h, carryHi, carry)
		if overflow != 0 || carry != 0 {
			return 0, 0, false
		}
	}
	return hi, lo, all != notBase62
}

// randomBase62 fills dst with uniformly random digits. It discards bytes from 248 up, because 256 is not
// a multiple of 62.
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

// idDigits writes an id last byte first. So the first digits of a secret come from the id's random end,
// and differ from key to key.
func idDigits(dst []byte, id ID) {
	putBase62(dst, binary.LittleEndian.Uint64(id[8:]), binary.LittleEndian.Uint64(id[:8]))
}

func parseIDDigits(s string) (ID, bool) {
	hi, lo, ok := parseBase62(s)
	if !ok {
		return ID{}, false
	}
	var id ID
	binary.LittleEndian.PutUint64(id[8:], hi)
	binary.LittleEndian.PutUint64(id[:8], lo)
	return id, id.isV7()
}
