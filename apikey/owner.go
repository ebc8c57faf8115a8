package apikey

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Owner is who has keys, with the settings that admins gave it. An owner exists from its first key or its
// first change on.
type Owner struct {
	Name string
	OwnerSettings
}

// OwnerSettings are the fields of an owner that admins choose. The zero OwnerSettings limit nothing. A new
// field needs a line here, one in OwnerChange, and a definition in ownerSettings.
type OwnerSettings struct {
	Suspended bool      // enabled is false: all its keys are refused until it is enabled again
	MaxKeys   int       // how many keys that are neither revoked nor expired it may have; 0 is the server's default
	RateLimit RateLimit // of all its keys together
	Quota     Quota     // of all its keys together
	Metadata  Metadata

	AllowedCIDRs CIDRs // from where its keys may be used; empty is from everywhere
}

// OwnerChange is a change of an owner, as in a PATCH. Nil fields stay as they are.
type OwnerChange struct {
	Suspended *bool
	MaxKeys   *int       // 0 removes the bound
	RateLimit *RateLimit // the zero RateLimit removes the limit
	Quota     *Quota     // the zero Quota removes the quota
	Metadata  *Metadata  // replaces all metadata

	AllowedCIDRs *CIDRs // replaces all of them
}

type ownerDefinition[T any] = definitionOf[OwnerSettings, OwnerChange, T]

// ownerSettings defines the fields, in alphabetical order as the canonical form of JSON requires.
var ownerSettings = []settingOf[OwnerSettings, OwnerChange]{
	ownerDefinition[CIDRs]{
		name: "allowed_cidrs", of: func(s *OwnerSettings) *CIDRs { return &s.AllowedCIDRs },
		in:        func(c OwnerChange) *CIDRs { return c.AllowedCIDRs },
		normalize: CIDRs.orNil, check: rule(checkAllowedCIDRs), json: appendCIDRs,
	}.setting(),
	ownerDefinition[bool]{
		name: "enabled", of: func(s *OwnerSettings) *bool { return &s.Suspended },
		in:    func(c OwnerChange) *bool { return c.Suspended },
		check: rule(anyBool), json: appendNot,
	}.setting(),
	ownerDefinition[int]{
		name: "max_keys", of: func(s *OwnerSettings) *int { return &s.MaxKeys },
		in:    func(c OwnerChange) *int { return c.MaxKeys },
		check: rule(CheckMaxKeys), json: appendUnlessZero,
	}.setting(),
	ownerDefinition[Metadata]{
		name: "metadata", of: func(s *OwnerSettings) *Metadata { return &s.Metadata },
		in:        func(c OwnerChange) *Metadata { return c.Metadata },
		normalize: Metadata.orEmpty, check: rule(CheckMetadata), json: appendMetadata,
	}.setting(),
	ownerDefinition[Quota]{
		name: "quota", of: func(s *OwnerSettings) *Quota { return &s.Quota },
		in:    func(c OwnerChange) *Quota { return c.Quota },
		check: rule(CheckQuota), json: appendQuota,
	}.setting(),
	ownerDefinition[RateLimit]{
		name: "rate_limit", of: func(s *OwnerSettings) *RateLimit { return &s.RateLimit },
		in:    func(c OwnerChange) *RateLimit { return c.RateLimit },
		check: rule(CheckRateLimit), json: appendRateLimit,
	}.setting(),
}

func checkAllowedCIDRs(c CIDRs) error { return CheckCIDRs("allowed_cidrs", c) }

// MaxMaxKeys is the highest bound of an owner's keys.
const MaxMaxKeys = 1_000_000_000

// CheckMaxKeys returns an *InvalidError if an owner cannot have this bound.
func CheckMaxKeys(n int) error {
	if n < 0 || n > MaxMaxKeys {
		return Invalid("max_keys", fmt.Sprintf("must be a whole number from 1 to %d", MaxMaxKeys))
	}
	return nil
}

// CheckOwnerChange returns an *InvalidError that lists all invalid fields of c.
func CheckOwnerChange(c OwnerChange) error {
	return checkChange(ownerSettings, Policy{}, time.Time{}, c)
}

// Apply returns the owner with the change made.
func (o Owner) Apply(c OwnerChange) Owner {
	o.OwnerSettings = apply(ownerSettings, o.OwnerSettings, c)
	return o
}

// IsDefault reports whether the settings are those of an owner that was never changed.
func (s OwnerSettings) IsDefault() bool {
	return !s.Suspended && s.MaxKeys == 0 && s.RateLimit.IsNone() && s.Quota.IsNone() && len(s.Metadata) == 0 &&
		len(s.AllowedCIDRs) == 0
}

// Difference compares the owner with its earlier state. What every owner has by default is no difference.
func (o Owner) Difference(before Owner) Differences {
	var all Differences
	for _, field := range ownerSettings {
		from, to := field.json(nil, &before.OwnerSettings), field.json(nil, &o.OwnerSettings)
		if !bytes.Equal(from, to) {
			all = append(all, Difference{field.name, unlessEmpty(from), unlessEmpty(to)})
		}
	}
	return all
}

func unlessEmpty(text []byte) jsontext.Value {
	if len(text) == 0 {
		return nil
	}
	return text
}

// Narrowed returns the settings with whatever later limits more.
func (s OwnerSettings) Narrowed(later OwnerSettings) OwnerSettings {
	s.Suspended = s.Suspended || later.Suspended
	if later.MaxKeys > 0 && (s.MaxKeys == 0 || later.MaxKeys < s.MaxKeys) {
		s.MaxKeys = later.MaxKeys
	}
	if !later.RateLimit.IsNone() && (s.RateLimit.IsNone() || later.RateLimit.rate() < s.RateLimit.rate() ||
		later.RateLimit.Limit < s.RateLimit.Limit && later.RateLimit.rate() == s.RateLimit.rate()) {
		s.RateLimit = later.RateLimit
	}
	if !later.Quota.IsNone() && (s.Quota.IsNone() || later.Quota.rate() < s.Quota.rate()) {
		s.Quota = later.Quota
	}
	s.AllowedCIDRs = s.AllowedCIDRs.Narrowed(later.AllowedCIDRs)
	return s
}

// AppendFields appends the settings as members of a JSON object of the contract, each after a comma unless
// it comes first.
func (s *OwnerSettings) AppendFields(b []byte) []byte {
	for _, field := range ownerSettings {
		start := len(b)
		b = appendMember(b, field.name)
		value := len(b)
		if b = field.json(b, s); len(b) == value {
			b = b[:start]
		}
	}
	return b
}

// appendUnlessZero appends a number; 0 is absent.
func appendUnlessZero(b []byte, n int) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// ownerMark begins the ids of owners. No key has such an id: a UUIDv7 has another version.
const ownerMark = "\xff\xff\xff\xff\xff\xff\xff\xff"

// OwnerID returns an id that stands for an owner where changes are announced. Owners may share one.
func OwnerID(owner string) (id ID) {
	hash := uint64(14695981039346656037) // FNV-1a, as in hash/fnv, which allocates twice
	for i := range len(owner) {
		hash = (hash ^ uint64(owner[i])) * 1099511628211
	}
	copy(id[:], ownerMark)
	binary.BigEndian.PutUint64(id[len(ownerMark):], hash)
	return id
}

// IsOwner reports whether an id is an OwnerID.
func (id ID) IsOwner() bool { return string(id[:len(ownerMark)]) == ownerMark }
