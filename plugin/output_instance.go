package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

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
	panics  atomic.Uint64   // chunks handed back because of one
}

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
	ship, errShip := esbulk.New(esbulk.Options{
		Config: c, Client: client, Log: log, Metrics: counts,
		Bootstrap: bootstrap.New(bootstrap.Options{Transport: client, Config: c, Log: log}),
	})
	if err := errors.Join(errClient, errShip); err != nil {
		return nil, err
	}
	o.client, o.ship = client, ship
	log.Printf(hostlog.Info, "version %s, %s", buildVersion(), option.Effective(option.Output(), get))
	if o.metrics != nil {
		log.Printf(hostlog.Info, "metrics at %s", o.metrics.URL())
	}
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
	o.ship.Close()
	o.client.Close()
	o.log.Printf(hostlog.Info, "%s", o.ship.Summary())
	o.metrics.Close()
}
