package main

import (
	"slices"
	"syscall"
	"time"
)

type samples struct {
	timings  []timing
	bytes    int64
	failures map[string]int64
	// Number of 503 responses with Retry-After.
	refusals int64
}

func (s *samples) add(more samples) {
	s.timings = append(s.timings, more.timings...)
	s.bytes += more.bytes
	s.refusals += more.refusals
	for failure, count := range more.failures {
		s.failures[failure] += count
	}
}

type report struct {
	Seconds     float64          `json:"seconds"`
	Requests    int              `json:"requests"`
	Bytes       int64            `json:"bytes"`
	Failures    map[string]int64 `json:"failures"`
	Refusals    int64            `json:"refusals"`
	FirstByteMs spread           `json:"firstByteMs"`
	TotalMs     spread           `json:"totalMs"`
	// CPU time of this process, to verify that it was not the bottleneck.
	CPUSeconds float64 `json:"cpuSeconds"`
}

type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func (s *samples) report(took time.Duration) report {
	of := func(pick func(timing) time.Duration) spread {
		values := make([]time.Duration, len(s.timings))
		for i, t := range s.timings {
			values[i] = pick(t)
		}
		slices.Sort(values)
		at := func(share float64) float64 {
			if len(values) == 0 {
				return 0
			}
			return values[int(share*float64(len(values)-1))].Seconds() * 1000
		}
		return spread{at(0.5), at(0.99), at(1)}
	}
	var usage syscall.Rusage
	cpuSeconds := 0.0
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		cpuSeconds = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	}
	return report{
		Seconds:     took.Seconds(),
		Requests:    len(s.timings),
		Bytes:       s.bytes,
		Failures:    s.failures,
		Refusals:    s.refusals,
		FirstByteMs: of(func(t timing) time.Duration { return t.firstByte }),
		TotalMs:     of(func(t timing) time.Duration { return t.total }),
		CPUSeconds:  cpuSeconds,
	}
}
