// loadgen reads objects over keep-alive connections as fast as a server sends
// them, and prints the results as one JSON object. Without -verify it discards
// bodies in the kernel, so that it uses little CPU next to a server on the same
// cores.
//
//	loadgen -url http://127.0.0.1:8443 -key bench/sized-67108864-%d -keys 4 -connections 16 -duration 5s
//
// The key determines the size and the content of the object (package content).
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
	hosts        []string
	key          string
	keys         int
	inOrder      bool
	connections  int
	duration     time.Duration
	requests     int64
	rangeBytes   int64
	atEnd        bool
	alignBytes   int64
	simultaneous bool
	verify       bool
	retry503     bool
	timeout      time.Duration
	seed         uint64
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
	urls := flag.String("url", "", "servers, separated by commas; connections are distributed in turn")
	flag.StringVar(&o.key, "key", "", "bucket/key, with a %d if -keys is more than 1")
	flag.IntVar(&o.keys, "keys", 1, "number of keys, starting at 0")
	flag.BoolVar(&o.inOrder, "in-order", false, "request n reads key n instead of a random one")
	flag.IntVar(&o.connections, "connections", 1, "connections, each with one request at a time")
	flag.DurationVar(&o.duration, "duration", 0, "start no request after this time")
	flag.Int64Var(&o.requests, "requests", 0, "number of requests")
	flag.Int64Var(&o.rangeBytes, "range", 0, "read ranges of this length instead of whole objects")
	flag.BoolVar(&o.atEnd, "at-end", false, "read ranges at the end of the object instead of random ones")
	flag.Int64Var(&o.alignBytes, "align", 1, "ranges start at multiples of this")
	flag.BoolVar(&o.simultaneous, "simultaneous", false, "open all connections before the first request")
	flag.BoolVar(&o.verify, "verify", false, "compare every byte")
	flag.BoolVar(&o.retry503, "retry-503", false, "retry after a 503 and its Retry-After delay")
	flag.DurationVar(&o.timeout, "timeout", 2*time.Minute, "timeout of one request")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the random keys and ranges")
	flag.Parse()
	for _, text := range strings.Split(*urls, ",") {
		parsed, err := url.Parse(text)
		if err != nil || parsed.Scheme != "http" {
			return o, fmt.Errorf("-url: %q is not an http URL", text)
		}
		o.hosts = append(o.hosts, parsed.Host)
	}
	if o.duration == 0 && o.requests == 0 {
		return o, fmt.Errorf("-duration or -requests is required")
	}
	if (o.keys > 1) != strings.Contains(o.key, "%d") {
		return o, fmt.Errorf("-key requires a %%d if and only if -keys is more than 1")
	}
	return o, nil
}
