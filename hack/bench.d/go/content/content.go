// Package content makes the bytes of objects out of their names, so that a load
// generator can check what a server sent and neither of them stores anything.
package content

import (
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"strconv"
)

// patternBytes is a prime: chunks of a round size all begin elsewhere in the
// pattern, so that one in the place of another shows.
const patternBytes = 4194301

// MaxSlice is the longest piece that At gives: the pattern is kept with so much
// of its beginning repeated behind its end.
const MaxSlice = 1 << 20

var pattern = newPattern()

func newPattern() []byte {
	bytes := make([]byte, patternBytes+MaxSlice)
	rand.NewChaCha8([32]byte{'o', 'r', 'c', 'a'}).Read(bytes[:patternBytes])
	copy(bytes[patternBytes:], bytes[:MaxSlice])
	return bytes
}

var named = regexp.MustCompile(`sized-(\d{1,15})`)

// Object is one that exists by its name: "sized-<bytes>" anywhere in it.
type Object struct {
	SizeBytes int64
	// Hash tells one object from another: where in the pattern it begins, and its ETag.
	Hash uint64
}

// Of is the object that a key names; false where it names none.
func Of(key string) (Object, bool) {
	match := named.FindStringSubmatch(key)
	if match == nil {
		return Object{}, false
	}
	sizeBytes, err := strconv.ParseInt(match[1], 10, 64)
	if err != nil {
		return Object{}, false
	}
	hash := fnv.New64a()
	hash.Write([]byte(key))
	return Object{SizeBytes: sizeBytes, Hash: hash.Sum64()}, true
}

// At is the content from offset on: maxBytes or MaxSlice, whichever is less. It
// must not be changed.
func (object Object) At(offset, maxBytes int64) []byte {
	at := (int64(object.Hash%patternBytes) + offset) % patternBytes
	return pattern[at : at+min(maxBytes, MaxSlice)]
}
