package apikey

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// AppendPacked appends the key as one run of bytes, for a cache that holds many keys: it is a third of the size,
// and has no pointers for the garbage collector to follow. Only Unpack reads it, in the same process.
func (k *Key) AppendPacked(b []byte) []byte {
	b = append(b, k.ID[:]...)
	b = appendPackedHash(appendPackedHash(b, k.SecretHash), k.OldSecretHash)
	for _, t := range [...]time.Time{k.CreatedAt, k.RevokedAt, k.RotatedAt, k.LastUsedAt, k.OldSecretUntil} {
		b = appendPackedTime(b, t)
	}
	for _, text := range [...]string{k.LastUsedFrom, k.Prefix, string(k.RevocationReason), string(k.Session)} {
		b = appendPackedText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(k.Foreign)) //nolint:gosec // one of three
	for _, s := range settings {
		b = s.pack(b, &k.Settings)
	}
	return b
}

// Unpack sets the key to the packed one. Its texts share packed's memory. The metadata, which decisions do not
// need, is left empty unless it is wanted; k.Metadata must then not be changed.
func (k *Key) Unpack(packed string, metadata bool) {
	k.OwnerSuspended = false // it changes with the owner, so it is not packed
	p := packed[copy(k.ID[:], packed):]
	k.SecretHash, p = cutHash(p)
	k.OldSecretHash, p = cutHash(p)
	for _, t := range [...]*time.Time{&k.CreatedAt, &k.RevokedAt, &k.RotatedAt, &k.LastUsedAt, &k.OldSecretUntil} {
		*t, p = cutTime(p)
	}
	k.LastUsedFrom, p = cutText(p)
	k.Prefix, p = cutText(p)
	reason, p := cutText(p)
	k.RevocationReason = Reason(reason)
	session, p := cutText(p)
	k.Session = Session(session)
	foreign, p := cutNumber(p)
	k.Foreign = ForeignUse(foreign) //nolint:gosec // it was one
	for _, s := range settings {
		p = s.unpack(p, &k.Settings, metadata)
	}
}

// appendPacked appends a field of Settings.
func appendPacked(b []byte, field any) []byte {
	switch v := field.(type) {
	case *string:
		return appendPackedText(b, *v)
	case *time.Time:
		return appendPackedTime(b, *v)
	case *bool:
		if *v {
			return append(b, 1)
		}
		return append(b, 0)
	case *Scopes:
		b = binary.AppendUvarint(b, uint64(len(*v)))
		for _, scope := range *v {
			b = appendPackedText(b, scope)
		}
		return b
	case *Metadata:
		var pairs []byte
		for _, name := range slices.Sorted(maps.Keys(*v)) {
			pairs = appendPackedText(appendPackedText(pairs, name), (*v)[name])
		}
		return appendPackedText(b, string(pairs))
	case *RateLimit:
		return binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.Limit)), uint64(v.Window)) //nolint:gosec // not negative
	case *Quota:
		if b = binary.AppendUvarint(b, uint64(v.Limit)); v.IsNone() { //nolint:gosec // not negative
			return b
		}
		return appendPackedText(binary.AppendUvarint(b, uint64(v.StartsOn)), string(v.Period)) //nolint:gosec // not negative
	case *CIDRs:
		b = binary.AppendUvarint(b, uint64(len(*v)))
		for _, network := range *v {
			b = append(appendPackedText(b, string(network.Addr().AsSlice())), byte(network.Bits())) //nolint:gosec // at most 128
		}
		return b
	}
	text, _ := json.Marshal(field) // it is encoded in answers too
	return appendPackedText(b, string(text))
}

// cutPacked reads what appendPacked wrote, and returns the rest.
func cutPacked(p string, field any, metadata bool) string {
	var n uint64
	var text string
	switch v := field.(type) {
	case *string:
		*v, p = cutText(p)
	case *time.Time:
		*v, p = cutTime(p)
	case *bool:
		*v, p = p[0] != 0, p[1:]
	case *Scopes:
		n, p = cutNumber(p)
		*v = make(Scopes, n)
		for i := range *v {
			(*v)[i], p = cutText(p)
		}
	case *Metadata:
		*v = noMetadata
		if text, p = cutText(p); metadata {
			*v = make(Metadata)
			for name := ""; text != ""; {
				name, text = cutText(text)
				(*v)[name], text = cutText(text)
			}
		}
	case *RateLimit:
		n, p = cutNumber(p)
		v.Limit = int(n) //nolint:gosec // it was one
		n, p = cutNumber(p)
		v.Window = time.Duration(n) //nolint:gosec // it was one
	case *Quota:
		*v = Quota{}
		if n, p = cutNumber(p); n == 0 {
			return p
		}
		v.Limit = int(n) //nolint:gosec // it was one
		n, p = cutNumber(p)
		v.StartsOn = int(n) //nolint:gosec // it was one
		text, p = cutText(p)
		v.Period = Period(text)
	case *CIDRs:
		*v = nil
		if n, p = cutNumber(p); n == 0 {
			return p
		}
		*v = make(CIDRs, n)
		for i := range *v {
			text, p = cutText(p)
			address, _ := netip.AddrFromSlice([]byte(text))
			(*v)[i], p = netip.PrefixFrom(address, int(p[0])), p[1:]
		}
	default:
		text, p = cutText(p)
		_ = json.Unmarshal([]byte(text), field) // appendPacked wrote it
	}
	return p
}

// noMetadata is the metadata of all keys that were unpacked without theirs.
var noMetadata = Metadata{}

// zeroMillis is the zero time.
var zeroMillis = time.Time{}.UnixMilli()

func appendPackedTime(b []byte, t time.Time) []byte {
	return binary.AppendUvarint(b, uint64(t.UnixMilli()-zeroMillis)) //nolint:gosec // not before the year 1
}

func appendPackedText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendPackedHash appends a hash; the zero hash takes one byte.
func appendPackedHash(b []byte, hash Hash) []byte {
	if hash == (Hash{}) {
		return append(b, 0)
	}
	return append(append(b, 1), hash[:]...)
}

func cutTime(p string) (time.Time, string) {
	ms, p := cutNumber(p)
	if ms == 0 {
		return time.Time{}, p
	}
	return time.UnixMilli(int64(ms) + zeroMillis).UTC(), p //nolint:gosec // at most the year 9999
}

func cutText(p string) (text, rest string) {
	n, p := cutNumber(p)
	return p[:n], p[n:]
}

func cutHash(p string) (hash Hash, rest string) {
	if p[0] == 0 {
		return hash, p[1:]
	}
	n := copy(hash[:], p[1:])
	return hash, p[1+n:]
}

// cutNumber reads what binary.AppendUvarint wrote; binary.Uvarint reads only slices.
func cutNumber(p string) (n uint64, rest string) {
	for i := 0; ; i++ {
		if n |= uint64(p[i]&0x7f) << (7 * i); p[i] < 0x80 {
			return n, p[i+1:]
		}
	}
}
