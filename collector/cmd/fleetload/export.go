package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

var client = &http.Client{
	Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	Timeout:   10 * time.Second,
}

// post sends an export and tells the status of the answer.
func post(url string, body []byte) (int, error) {
	r, err := newPost(url, body)
	if err != nil {
		return 0, err
	}
	return answered(client.Do(r))
}

// answered is the status of an answer that was read to its end.
func answered(r *http.Response, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return r.StatusCode, err
}

func newPost(url string, body []byte) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-protobuf")
	}
	return r, err
}

// points is the encoded ResourceMetrics of some metrics, without a resource: the same points are sent under many numbers.
func points(md pmetric.Metrics) []byte {
	b, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		log.Fatal(err)
	}
	_, n := binary.Uvarint(b[1:])
	b = b[1+n:]
	if len(b) > 1 && b[0] == 0x0a && b[1] == 0 { // an empty resource
		b = b[2:]
	}
	return b
}

// request puts a resource before points.
func request(resource, points []byte) []byte {
	return field(0x0a, append(field(0x0a, resource), points...))
}

// attributesOf is what a process says of itself.
func attributesOf(instance string) []byte {
	resource := text("telemetry.sdk.language", "go")
	resource = append(resource, text("telemetry.sdk.name", "opentelemetry")...)
	resource = append(resource, text("telemetry.sdk.version", "1")...)
	resource = append(resource, text("service.instance.id", instance)...)
	resource = append(resource, text("service.name", "fleetload")...)
	return append(resource, text("deployment.environment.name", "dev")...)
}

// numbered is what an export says besides, so that it counts once.
func numbered(sender string, sequence int64) []byte {
	number := binary.AppendUvarint([]byte{0x18}, uint64(sequence))
	return append(text("telemetry.sender.id", sender), attribute("telemetry.sender.sequence", number)...)
}

// requestOf is a request whose sender is numbered if it has a name.
func requestOf(instance, sender string, sequence int64, points []byte) []byte {
	resource := attributesOf(instance)
	if sender != "" {
		resource = append(resource, numbered(sender, sequence)...)
	}
	return request(resource, points)
}

func text(key, value string) []byte { return attribute(key, field(0x0a, []byte(value))) }

func attribute(key string, value []byte) []byte {
	return field(0x0a, append(field(0x0a, []byte(key)), field(0x12, value)...))
}

func field(tag byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{tag}, uint64(len(body))), body...)
}

const metricsOfLoad = 20

var boundsOfLoad = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// loadOf is one point for each series from one on, as many as there are points.
func loadOf(o *options, from int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	byName := map[int]pmetric.Metric{}
	now := pcommon.NewTimestampFromTime(time.Now())
	for i := range o.points {
		series := (from + i) % o.series
		m, ok := byName[series%metricsOfLoad]
		if !ok {
			m = metrics.AppendEmpty()
			m.SetName(fmt.Sprintf("load_%02d_total", series%metricsOfLoad))
			byName[series%metricsOfLoad] = m
		}
		labels := addLoad(m, o.histograms, now)
		labels.PutStr("method", "GET")
		labels.PutStr("endpoint", fmt.Sprintf("/api/v1/resources/%d", series/metricsOfLoad))
		labels.PutStr("status_code", "200")
	}
	return md
}

func addLoad(m pmetric.Metric, histogram bool, now pcommon.Timestamp) pcommon.Map {
	if !histogram {
		if m.Type() == pmetric.MetricTypeEmpty {
			m.SetEmptySum().SetIsMonotonic(true)
			m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		}
		dp := m.Sum().DataPoints().AppendEmpty()
		dp.SetDoubleValue(1)
		dp.SetStartTimestamp(now - 1e9)
		dp.SetTimestamp(now)
		return dp.Attributes()
	}
	if m.Type() == pmetric.MetricTypeEmpty {
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	}
	dp := m.Histogram().DataPoints().AppendEmpty()
	dp.ExplicitBounds().FromRaw(boundsOfLoad)
	counts := make([]uint64, len(boundsOfLoad)+1)
	counts[3], counts[5] = 1, 2
	dp.BucketCounts().FromRaw(counts)
	dp.SetCount(3)
	dp.SetSum(0.5)
	dp.SetStartTimestamp(now - 1e9)
	dp.SetTimestamp(now)
	return dp.Attributes()
}
