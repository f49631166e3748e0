// loadgen reads objects over keep-alive connections as fast as a server gives
// them, and prints one JSON object with what it saw. It drops bodies in the
// kernel unless it is to verify them, so that beside a server on the same cores
// it costs next to nothing.
//
//	loadgen -url http://127.0.0.1:8443 -key bench/sized-67108864-%d -keys 4 -connections 16 -duration 5s
//
// A key says how long its object is and what it holds (package content).
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

type options struct {
	hosts       []string
	key         string
	keys        int
	inOrder     bool
	connections int
	duration    time.Duration
	requests    int64
	rangeBytes  int64
	atEnd       bool
	alignBytes  int64
	together    bool
	verify      bool
	patient     bool
	timeout     time.Duration
}

func main() {
	options, err := parse()
	if err != nil {
		fmt.Fprintf(os.Stderr, "loadgen: %v\n", err)
		os.Exit(2)
	}
	report, err := run(options)
	if err != nil {
		fmt.Fprintf(os.Stderr, "loadgen: %v\n", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(report)
}

func parse() (options, error) {
	var o options
	urls := flag.String("url", "", "servers, separated by commas; connections are dealt out in turn")
	flag.StringVar(&o.key, "key", "", "bucket/key, with a %d where -keys is more than 1")
	flag.IntVar(&o.keys, "keys", 1, "how many keys: from 0 on")
	flag.BoolVar(&o.inOrder, "in-order", false, "request n reads key n, instead of any")
	flag.IntVar(&o.connections, "connections", 1, "connections, each with one request at a time")
	flag.DurationVar(&o.duration, "duration", 0, "begin no request after this time")
	flag.Int64Var(&o.requests, "requests", 0, "end after so many requests")
	flag.Int64Var(&o.rangeBytes, "range", 0, "read ranges of this length instead of whole objects …")
	flag.BoolVar(&o.atEnd, "at-end", false, "… at the object's end instead of anywhere …")
	flag.Int64Var(&o.alignBytes, "align", 1, "… beginning at multiples of this")
	flag.BoolVar(&o.together, "together", false, "connect first, then let all requests go at once")
	flag.BoolVar(&o.verify, "verify", false, "compare every byte")
	flag.BoolVar(&o.patient, "patient", false, "ask again after a 503, when its Retry-After says")
	flag.DurationVar(&o.timeout, "timeout", 2*time.Minute, "of one request")
	flag.Parse()
	for _, text := range strings.Split(*urls, ",") {
		parsed, err := url.Parse(text)
		if err != nil || parsed.Scheme != "http" {
			return o, fmt.Errorf("-url: %q is no http URL", text)
		}
		o.hosts = append(o.hosts, parsed.Host)
	}
	if o.duration == 0 && o.requests == 0 {
		return o, fmt.Errorf("neither -duration nor -requests says when to end")
	}
	if (o.keys > 1) != strings.Contains(o.key, "%d") {
		return o, fmt.Errorf("-key needs a %%d exactly when there are several -keys")
	}
	return o, nil
}
