// Package content derives the bytes of objects from their names, so that a load
// generator can verify a response without storing the object.
package content

import (
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"strconv"
)

// patternBytes is a prime: chunks of a round size start at different places of
// the pattern, so that an interchanged chunk is detected.
const patternBytes = 4194301

// MaxSlice is the longest slice that At returns: the pattern repeats that much
// of its beginning after its end.
const MaxSlice = 1 << 20

var pattern = newPattern()

func newPattern() []byte {
	bytes := make([]byte, patternBytes+MaxSlice)
	rand.NewChaCha8([32]byte{'o', 'r', 'c', 'a'}).Read(bytes[:patternBytes])
	copy(bytes[patternBytes:], bytes[:MaxSlice])
	return bytes
}

var named = regexp.MustCompile(`sized-(\d{1,15})`)

// Object is a synthetic object, whose name contains "sized-<bytes>".
type Object struct {
	SizeBytes int64
	// Hash determines the start of the object in the pattern, and its ETag.
	Hash uint64
}

// Of returns the object that a key names, or false.
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

// At returns the content from offset on: the smaller of maxBytes and MaxSlice.
// The caller must not change it.
func (object Object) At(offset, maxBytes int64) []byte {
	at := (int64(object.Hash%patternBytes) + offset) % patternBytes
	return pattern[at : at+min(maxBytes, MaxSlice)]
}
