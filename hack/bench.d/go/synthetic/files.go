package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// files is a store in a folder. User metadata and ETags are in memory only, so it
// does not contain the files of an earlier process.
type files struct {
	dir     string
	mutex   sync.RWMutex
	entries map[string]entry
	serial  int64
}

type entry struct {
	path      string
	sizeBytes int64
	etag      string
	metadata  http.Header
}

func newFiles(dir string) *files {
	return &files{dir: dir, entries: map[string]entry{}}
}

func (f *files) open(name string) (object, error) {
	f.mutex.RLock()
	known, ok := f.entries[name]
	f.mutex.RUnlock()
	if !ok {
		return object{}, refusal{http.StatusNotFound, "NoSuchKey"}
	}
	file, err := os.Open(known.path)
	if errors.Is(err, fs.ErrNotExist) {
		return object{}, refusal{http.StatusNotFound, "NoSuchKey"}
	}
	return object{known.sizeBytes, known.etag, known.metadata, opened{file}}, err
}

func (f *files) put(name string, r *http.Request) (int64, error) {
	ifAbsent := r.Header.Get("If-None-Match") == "*"
	f.mutex.Lock()
	_, exists := f.entries[name]
	f.serial++
	serial := f.serial
	f.mutex.Unlock()
	if ifAbsent && exists {
		return 0, refusal{http.StatusPreconditionFailed, "PreconditionFailed"}
	}
	path := filepath.Join(f.dir, fmt.Sprintf("%08d", serial))
	lengthBytes, err := write(path, r.Body)
	if err == nil && lengthBytes != r.ContentLength {
		err = refusal{http.StatusBadRequest, "IncompleteBody"}
	}
	if err == nil {
		err = f.place(name, entry{path, lengthBytes, fmt.Sprintf(`"%032x"`, serial), userMetadata(r.Header)}, ifAbsent)
	}
	if err != nil {
		os.Remove(path)
	}
	return lengthBytes, err
}

// place makes the object visible. The first of several conditional writers wins.
func (f *files) place(name string, written entry, ifAbsent bool) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	before, exists := f.entries[name]
	if exists && ifAbsent {
		return refusal{http.StatusPreconditionFailed, "PreconditionFailed"}
	}
	f.entries[name] = written
	if exists {
		os.Remove(before.path)
	}
	return nil
}

func (f *files) remove(name string) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if known, ok := f.entries[name]; ok {
		delete(f.entries, name)
		return os.Remove(known.path)
	}
	return nil
}

func write(path string, body io.Reader) (int64, error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	lengthBytes, err := io.Copy(file, body)
	return lengthBytes, errors.Join(err, file.Close())
}

func userMetadata(header http.Header) http.Header {
	metadata := http.Header{}
	for name, values := range header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			metadata[name] = values
		}
	}
	return metadata
}

type opened struct{ *os.File }

func (o opened) copyTo(w io.Writer, offset, lengthBytes int64) (int64, error) {
	if _, err := o.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	// ReadFrom of the response uses sendfile for this.
	return io.CopyN(w, o.File, lengthBytes)
}
