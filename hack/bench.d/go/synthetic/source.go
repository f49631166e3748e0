package main

import (
	"fmt"
	"io"
	"net/http"

	"orcacache.dev/bench/content"
)

// A source contains objects. Names are "bucket/key".
type source interface {
	open(name string) (object, error)
	put(name string, r *http.Request) (int64, error)
	remove(name string) error
}

type object struct {
	sizeBytes int64
	etag      string
	metadata  http.Header
	body      body
}

type body interface {
	io.Closer
	copyTo(w io.Writer, offset, lengthBytes int64) (int64, error)
}

// named has every object whose name contains a size.
type named struct{}

func (named) open(name string) (object, error) {
	found, ok := content.Of(name)
	if !ok {
		return object{}, refusal{http.StatusNotFound, "NoSuchKey"}
	}
	etag := fmt.Sprintf(`"%016x%016x"`, found.Hash, found.SizeBytes)
	return object{sizeBytes: found.SizeBytes, etag: etag, body: generated{found}}, nil
}

func (named) put(string, *http.Request) (int64, error) {
	return 0, refusal{http.StatusForbidden, "AccessDenied"}
}

func (named) remove(string) error { return refusal{http.StatusForbidden, "AccessDenied"} }

type generated struct{ content.Object }

func (generated) Close() error { return nil }

func (g generated) copyTo(w io.Writer, offset, lengthBytes int64) (int64, error) {
	for at := offset; at < offset+lengthBytes; {
		written, err := w.Write(g.At(at, offset+lengthBytes-at))
		at += int64(written)
		if err != nil {
			return at - offset, err
		}
	}
	return lengthBytes, nil
}
