package main

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	step       = time.Minute
	maxSamples = 100_000
	patience   = 10 * time.Second
)

type series struct {
	Labels map[string]string `json:"labels"`
	Values []float64         `json:"values"`
}

type question struct {
	Expr   string   `json:"expr"`
	Series []series `json:"series"`
}

// query evaluates an expression with the Prometheus engine over the given series, and returns all samples.
func query(asked question) (verdict, error) {
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: maxSamples, Timeout: patience})
	defer engine.Close()
	last := 0
	for _, one := range asked.Series {
		last = max(last, len(one.Values)-1)
	}
	store := &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: asked.find}}
	at := time.Unix(0, 0).Add(time.Duration(last) * step)
	running, err := engine.NewInstantQuery(context.Background(), store, nil, asked.Expr, at)
	if err != nil {
		return verdict{}, err
	}
	defer running.Close()
	samples, err := running.Exec(context.Background()).Vector()
	if err != nil {
		return verdict{}, err
	}
	if len(samples) == 0 {
		return verdict{Status: "Silent"}, nil
	}
	texts := make([]string, 0, len(samples))
	for _, sample := range samples {
		texts = append(texts, sample.Metric.String())
	}
	return verdict{Status: "Fires", Message: strings.Join(texts, " ")}, nil
}

func (asked question) find(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := []storage.Series{}
	for _, one := range asked.Series {
		set := labels.FromMap(one.Labels)
		if !matchesAll(set, matchers) {
			continue
		}
		samples := make([]chunks.Sample, 0, len(one.Values))
		for index, value := range one.Values {
			samples = append(samples, sample{at: int64(index) * step.Milliseconds(), value: value})
		}
		found = append(found, storage.NewListSeries(set, samples))
	}
	return &seriesSet{found: found}
}

type seriesSet struct {
	found []storage.Series
	next  int
}

func (set *seriesSet) Next() bool {
	set.next++
	return set.next <= len(set.found)
}
func (set *seriesSet) At() storage.Series                { return set.found[set.next-1] }
func (set *seriesSet) Err() error                        { return nil }
func (set *seriesSet) Warnings() annotations.Annotations { return nil }

func matchesAll(set labels.Labels, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(set.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
