package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"fluent-bit-fortiems/plugin/bootstrap"
	"fluent-bit-fortiems/plugin/esbulk"
	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/metrics"
	"fluent-bit-fortiems/plugin/option"
)

// shipper is esbulk.Shipper; an interface so that tests can make it fail.
type shipper interface {
	Flush(ctx context.Context, tag string, chunk []byte) esbulk.Result
	Summary() string
	Close()
}

// outputInstance is one output instance. All methods are safe for concurrent use: with
// several workers the host flushes several chunks at once.
type outputInstance struct {
	log     *hostlog.Logger
	client  *eshttp.Client
	ship    shipper
	metrics *metrics.Server // nil if metrics_listen is not set
	probe   sync.WaitGroup  // the first question to the servers
	cancel  func()          // ends it
	panics  atomic.Uint64   // chunks handed back because of one
}

// connectTimeout bounds the first question to the servers.
const connectTimeout = 20 * time.Second

// newOutputInstance decodes and checks the options and prepares an instance. It opens no
// connection. The error joins all mistakes.
func newOutputInstance(name string, get func(key string) string, log *hostlog.Logger) (_ *outputInstance, err error) {
	c, err := option.ParseOutput(get)
	if err != nil {
		return nil, err
	}
	o := &outputInstance{log: log}
	defer func() {
		if err != nil {
			o.metrics.Close()
		}
	}()
	var counts *metrics.Output
	if c.MetricsListen != "" {
		if o.metrics, err = metrics.Listen(c.MetricsListen, buildVersion(), log); err != nil {
			return nil, err
		}
		counts = o.metrics.Output(name)
	}
	client, errClient := eshttp.New(&c, "fluent-bit-fortiems/"+buildVersion())
	var transport, probe esapi.Transport // one each: a pinned one serves one goroutine at a time
	if errClient == nil {
		transport, probe = client.Pinned(), client.Pinned()
	}
	boot := bootstrap.New(bootstrap.Options{
		Transport: transport, Config: c, Log: log,
		IndexAt: func(at time.Time) string { return esbulk.IndexAt(c.Index, at) },
	})
	ship, errShip := esbulk.New(esbulk.Options{
		Config: c, Client: client, Log: log, Metrics: counts,
		Bootstrap: boot,
	})
	if err := errors.Join(errClient, errShip); err != nil {
		return nil, err
	}
	o.client, o.ship = client, ship
	log.Printf(hostlog.Info, "version %s, %s", buildVersion(), option.Effective(option.Output(), get))
	if o.metrics != nil {
		log.Printf(hostlog.Info, "metrics at %s", o.metrics.URL())
	}
	// The start neither waits for the servers nor fails because of them.
	var ctx context.Context
	ctx, o.cancel = context.WithTimeout(context.Background(), connectTimeout)
	o.probe.Go(func() {
		defer func() { _ = recover() }() // the flushes will say what is wrong
		bootstrap.New(bootstrap.Options{Transport: probe, Config: c, Log: log}).Connect(ctx)
	})
	return o, nil
}

// flush delivers a chunk and reports whether all of it is done; else the host has to
// hand it over again. chunk is borrowed during the call.
func (o *outputInstance) flush(tag string, chunk []byte) bool {
	done := make(chan esbulk.Result, 1)
	go func() {
		result := esbulk.Retry
		defer func() {
			if v := recover(); v != nil {
				result = esbulk.Retry
				o.panicked(panicText(v), time.Now())
			}
			done <- result
		}()
		result = o.ship.Flush(context.Background(), tag, chunk)
	}()
	return <-done == esbulk.OK
}

// panicked counts and logs a panic that a call recovered from. o is nil if the call
// was for no instance.
func (o *outputInstance) panicked(text string, now time.Time) {
	log := orphan
	if o != nil {
		o.panics.Add(1)
		log = o.log
	}
	log.Limited(hostlog.Error, "panic", now, "internal error, chunk handed back: %s", text)
}

// close ends running flushes and logs what the instance did.
func (o *outputInstance) close() {
	if o.cancel != nil {
		o.cancel()
		o.probe.Wait()
	}
	o.ship.Close()
	o.client.Close()
	o.log.Printf(hostlog.Info, "%s", o.ship.Summary())
	o.metrics.Close()
}
