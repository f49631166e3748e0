package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A throttled body is sent in steps of this size, at most one step ahead of the rate.
const pacedStepBytes = 64 << 10

// A refusal is an S3 error response.
type refusal struct {
	status int
	code   string
}

func (r refusal) Error() string { return r.code }

func answer(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	var refused refusal
	if !errors.As(err, &refused) {
		refused = refusal{http.StatusInternalServerError, "InternalError"}
	}
	body := fmt.Sprintf(`<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, refused.code, refused.code)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(refused.status)
	if r.Method != http.MethodHead {
		io.WriteString(w, body)
	}
}

func (this *server) get(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method == http.MethodHead {
		this.counts.Heads.Add(1)
	} else {
		this.counts.Gets.Add(1)
	}
	found, err := this.source.open(name)
	var refused refusal
	// Those of housekeeping happen at any time.
	isOfReads := !strings.Contains(name, "/_orca/")
	if errors.As(err, &refused) && refused.status == http.StatusNotFound && isOfReads {
		this.counts.Misses.Add(1)
	}
	if err != nil {
		answer(w, r, err)
		return
	}
	defer found.body.Close()
	if wanted := r.Header.Get("If-Match"); wanted != "" && wanted != found.etag {
		answer(w, r, refusal{http.StatusPreconditionFailed, "PreconditionFailed"})
		return
	}
	from, to, isPart, ok := parseRange(r.Header.Get("Range"), found.sizeBytes)
	if !ok {
		answer(w, r, refusal{http.StatusRequestedRangeNotSatisfiable, "InvalidRange"})
		return
	}
	header := w.Header()
	for name, value := range found.metadata {
		header[name] = value
	}
	header.Set("ETag", found.etag)
	header.Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Length", strconv.FormatInt(to-from, 10))
	status := http.StatusOK
	if isPart {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, found.sizeBytes))
		status = http.StatusPartialContent
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	sentBytes, err := this.send(w, found.body, from, to)
	this.counts.GetBytes.Add(sentBytes)
	if err != nil {
		this.counts.Broken.Add(1)
	}
}

func (this *server) send(w io.Writer, body body, from, to int64) (int64, error) {
	rate := this.rate.Load()
	if rate == 0 {
		return body.copyTo(w, from, to-from)
	}
	started := time.Now()
	due := func(sentBytes int64) {
		time.Sleep(time.Until(started.Add(time.Duration(float64(sentBytes) / float64(rate) * float64(time.Second)))))
	}
	for at := from; at < to; {
		copied, err := body.copyTo(w, at, min(pacedStepBytes, to-at))
		at += copied
		if err != nil {
			return at - from, err
		}
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		due(at - from)
	}
	return to - from, nil
}

// parseRange reads "bytes=a-b", "bytes=a-" and "bytes=-n" as [from, to).
func parseRange(header string, sizeBytes int64) (from, to int64, isPart, ok bool) {
	if header == "" {
		return 0, sizeBytes, false, true
	}
	text, isBytes := strings.CutPrefix(header, "bytes=")
	first, last, hasDash := strings.Cut(text, "-")
	if !isBytes || !hasDash {
		return 0, 0, false, false
	}
	if first == "" {
		length, err := strconv.ParseInt(last, 10, 64)
		return max(0, sizeBytes-length), sizeBytes, true, err == nil && length > 0
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from >= sizeBytes {
		return 0, 0, false, false
	}
	to = sizeBytes
	if last != "" {
		inclusive, err := strconv.ParseInt(last, 10, 64)
		if err != nil || inclusive < from {
			return 0, 0, false, false
		}
		to = min(inclusive+1, sizeBytes)
	}
	return from, to, true, true
}
