package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"orcacache.dev/bench/content"
)

// A pause after a failed request, so that rejections do not dominate the measurement.
const pauseAfterFailure = 5 * time.Millisecond

type load struct {
	options
	deadline time.Time
	next     atomic.Int64
	mutex    sync.Mutex
	seen     samples
}

func run(o options) (report, error) {
	l := &load{options: o, seen: samples{failures: map[string]int64{}}}
	connections := make([]*connection, o.connections)
	for i := range connections {
		connections[i] = newConnection(o.hosts[i%len(o.hosts)], o.timeout)
		if o.simultaneous {
			if err := connections[i].dial(); err != nil {
				return report{}, err
			}
		}
	}
	started := time.Now()
	if o.duration > 0 {
		l.deadline = started.Add(o.duration)
	}
	var workers sync.WaitGroup
	for number, connection := range connections {
		workers.Go(func() { l.work(connection, rand.New(rand.NewPCG(uint64(number), l.seed))) })
	}
	workers.Wait()
	return l.seen.report(time.Since(started)), nil
}

func (l *load) work(c *connection, random *rand.Rand) {
	defer c.close()
	mine := samples{failures: map[string]int64{}}
	for l.deadline.IsZero() || time.Now().Before(l.deadline) {
		number := l.next.Add(1) - 1
		if l.requests > 0 && number >= l.requests {
			break
		}
		wanted, err := l.target(number, random)
		var took timing
		if err == nil {
			took, err = l.get(c, wanted, &mine)
		}
		if err != nil {
			mine.failures[err.Error()]++
			time.Sleep(pauseAfterFailure)
			continue
		}
		mine.timings = append(mine.timings, took)
		mine.bytes += wanted.to - wanted.from
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.seen.add(mine)
}

// get retries while the server responds with Retry-After.
func (l *load) get(c *connection, wanted target, mine *samples) (timing, error) {
	started := time.Now()
	for {
		attempt := time.Now()
		took, err := c.get(wanted, l.verify)
		var refusal refused
		if !l.retry503 || !errors.As(err, &refusal) || time.Since(started) > l.timeout {
			waited := attempt.Sub(started)
			return timing{waited + took.firstByte, waited + took.total}, err
		}
		mine.refusals++
		time.Sleep(refusal.retryAfter)
	}
}

func (l *load) target(number int64, random *rand.Rand) (target, error) {
	key := l.key
	if l.keys > 1 {
		which := number % int64(l.keys)
		if !l.inOrder {
			which = random.Int64N(int64(l.keys))
		}
		key = strings.Replace(key, "%d", fmt.Sprint(which), 1)
	}
	object, ok := content.Of(key)
	if !ok {
		return target{}, fmt.Errorf("the key %s contains no size (sized-<bytes>)", key)
	}
	if l.rangeBytes == 0 {
		return target{key: key, object: object, to: object.SizeBytes}, nil
	}
	from := object.SizeBytes - l.rangeBytes
	if from < 0 {
		return target{}, fmt.Errorf("%s is shorter than the range", key)
	}
	if !l.atEnd {
		from = random.Int64N(from/l.alignBytes+1) * l.alignBytes
	}
	return target{key, object, from, from + l.rangeBytes, true}, nil
}
