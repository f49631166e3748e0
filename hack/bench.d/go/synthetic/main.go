// synthetic is a small server with an S3 interface for measurements. As an origin
// it has every object whose name contains a size; with -dir it stores files (using
// sendfile, which on tmpfs is the best case). It does not verify signatures. It
// has counters and can be throttled:
//
//	GET /_/counts                              counters as JSON
//	POST /_/set?latency=20ms&rate=100000000    latency of each response, bytes/s of each body (0 = no limit)
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

type server struct {
	source    source
	latencyNs atomic.Int64
	// Bytes/s of each body, and thus of each connection; 0 = no limit.
	rate   atomic.Int64
	counts counts
}

type counts struct {
	Gets     atomic.Int64
	Heads    atomic.Int64
	Puts     atomic.Int64
	Deletes  atomic.Int64
	GetBytes atomic.Int64
	PutBytes atomic.Int64
	Broken   atomic.Int64
	// Gets and heads of objects that do not exist.
	Misses atomic.Int64
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address; prints the actual one")
	dir := flag.String("dir", "", "store files in this folder instead of being an origin")
	flag.Parse()
	this := &server{source: named{}}
	if *dir != "" {
		this.source = newFiles(*dir)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stdout, "http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, this))
}

func (this *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/_/"); ok {
		this.control(w, r, rest)
		return
	}
	time.Sleep(time.Duration(this.latencyNs.Load()))
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if key == "" {
		answerBucket(w)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		this.get(w, r, bucket+"/"+key)
	case http.MethodPut:
		this.counts.Puts.Add(1)
		lengthBytes, err := this.source.put(bucket+"/"+key, r)
		this.counts.PutBytes.Add(lengthBytes)
		answer(w, r, err)
	case http.MethodDelete:
		this.counts.Deletes.Add(1)
		if err := this.source.remove(bucket + "/" + key); err != nil {
			answer(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		answer(w, r, refusal{http.StatusMethodNotAllowed, "MethodNotAllowed"})
	}
}

func (this *server) control(w http.ResponseWriter, r *http.Request, what string) {
	switch what {
	case "counts":
		c := &this.counts
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]int64{
			"gets": c.Gets.Load(), "heads": c.Heads.Load(), "puts": c.Puts.Load(), "deletes": c.Deletes.Load(),
			"getBytes": c.GetBytes.Load(), "putBytes": c.PutBytes.Load(), "broken": c.Broken.Load(),
			"misses": c.Misses.Load(),
		})
	case "set":
		latency, latencyErr := time.ParseDuration(r.URL.Query().Get("latency"))
		rate, rateErr := strconv.ParseInt(r.URL.Query().Get("rate"), 10, 64)
		if latencyErr != nil || rateErr != nil {
			http.Error(w, "latency and rate are required", http.StatusBadRequest)
			return
		}
		this.latencyNs.Store(int64(latency))
		this.rate.Store(rate)
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

// answerBucket responds to requests for the bucket itself: it exists, is empty and has no versions.
func answerBucket(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>`)
}
