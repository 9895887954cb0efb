// Package bootstrap prepares a server for an output: it installs the index
// template, the dead-letter template and the lifecycle policy of conf/ where they
// are absent or older, and makes sure that the first document will not create a
// plain index where a data stream is meant to be.
//
// For each resource it asks what the server has, decide says what to do about it, and
// install.go does it. What is newer than ours or made by somebody else is never changed.
// Doing it twice, or from several agents at once, is harmless. What the server refuses
// gets one line; delivery goes on if the target can take documents without it.
//
// Requests go through eshttp, whose errors say host, cause and remedy. There is no
// product check and no state but whether it has succeeded. Lines hold names, versions,
// statuses and the server's reasons, never credentials.
package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// Options of a Bootstrap.
type Options struct {
	Transport esapi.Transport // *eshttp.Client; sends with credentials and TLS
	Config    option.OutputConfig
	Log       *hostlog.Logger
	Now       func() time.Time // nil: time.Now

	// IndexAt is the name that option index has for a document of that time; nil: unknown.
	IndexAt func(time.Time) string
}

// Bootstrap prepares the server for one output instance. Safe for concurrent use.
type Bootstrap struct {
	transport esapi.Transport
	config    option.OutputConfig
	log       *hostlog.Logger
	now       func() time.Time
	indexAt   func(time.Time) string
	plan      plan

	// Of the running attempt.
	ilm  bool   // the server has our ILM policy
	host string // that answered last, "" before one has

	mu      sync.Mutex
	attempt *attempt // running or successful, or nil
}

// attempt is one try to prepare the server, shared by the flushes that wait for it.
type attempt struct {
	done chan struct{}
	err  error // set before done is closed
}

// New prepares nothing yet and opens no connection.
func New(o Options) *Bootstrap {
	b := &Bootstrap{transport: o.Transport, config: o.Config, log: o.Log, now: o.Now, indexAt: o.IndexAt, plan: planFor(o.Config)}
	if b.now == nil {
		b.now = time.Now
	}
	return b
}

// Ready returns nil when documents may be sent. It asks the server until it has
// succeeded once; callers at the same time share one attempt, which lasts no
// longer than ctx of the first of them. An error says what is missing; a later call tries
// again.
func (b *Bootstrap) Ready(ctx context.Context) error {
	b.mu.Lock()
	a := b.attempt
	if a != nil {
		b.mu.Unlock()
		select {
		case <-a.done:
			return a.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	a = &attempt{done: make(chan struct{}), err: errors.New("interrupted")}
	b.attempt = a
	b.mu.Unlock()
	defer func() { // also when a transport panics: nobody may wait for ever
		if a.err != nil {
			b.mu.Lock()
			b.attempt = nil
			b.mu.Unlock()
		}
		close(a.done)
	}()
	a.err = b.prepare(ctx)
	if a.err != nil {
		a.err = b.named(a.err)
	}
	return a.err
}

// named adds the host that answered last to an error that names none.
func (b *Bootstrap) named(err error) error {
	if b.host == "" || strings.Contains(err.Error(), "://") {
		return err
	}
	return fmt.Errorf("%s: %w", b.host, err)
}

// sayf logs with the host that answered last, unless the line names one. A kind limits the
// lines.
func (b *Bootstrap) sayf(level hostlog.Level, kind, format string, args ...any) {
	line := b.named(fmt.Errorf(format, args...)).Error()
	if kind == "" {
		b.log.Printf(level, "%s", line)
		return
	}
	b.log.Limited(level, "bootstrap "+kind, b.now(), "%s", line)
}

// Recheck makes the next Ready look again whether everything is in place: the connection
// was lost, or the target is gone.
func (b *Bootstrap) Recheck() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.attempt == nil {
		return
	}
	select {
	case <-b.attempt.done:
		b.attempt = nil
	default: // it is looking
	}
}

func (b *Bootstrap) prepare(ctx context.Context) error {
	if !b.config.Bootstrap && b.config.Index != "" {
		return nil // any index will do, and nothing is to be installed
	}
	s, err := b.server(ctx)
	if err != nil {
		return err
	}
	why := "bootstrap is off"
	if b.config.Bootstrap {
		done, err := b.install(ctx, s)
		if err != nil {
			return err
		}
		if done == "" {
			if b.config.Index != "" {
				return b.checkIndex(ctx, s, b.plan.data)
			}
			return b.wins(ctx, s, b.plan.data)
		}
		why = done
	}
	if b.config.Index != "" {
		return nil
	}
	if !b.config.Bootstrap && s.product == elasticsearch && strings.HasPrefix(b.config.DataStream, builtinPrefix) {
		return nil
	}
	return b.checkTarget(ctx, s, why)
}

// Connect asks the server what it is and logs that, or why there is no answer yet. It
// changes nothing.
func (b *Bootstrap) Connect(ctx context.Context) {
	s, err := b.identify(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		hint := ""
		if slices.Equal(b.config.Hosts, []string{option.DefaultHost}) && b.config.CloudID == "" {
			hint = "; this is the default of hosts: options host and port have no effect here"
		}
		b.log.Printf(hostlog.Warn, "not connected yet, chunks wait: %v%s", err, hint)
		return
	}
	names := map[string]string{elasticsearch: "Elasticsearch", opensearch: "OpenSearch", "": "a server that does not say what it is"}
	if set := b.set(); set != "" && s.product != "" && s.product != set {
		b.log.Printf(hostlog.Warn, "%s is %s %s, but product is set to %s: set it to auto", s.host, names[s.product], s.version, set)
	}
	b.log.Printf(hostlog.Info, "connected to %s at %s", strings.TrimSpace(names[cmp.Or(s.product, b.set())]+" "+s.version), s.host)
}

// server is what is known about the other side.
type server struct {
	product string // of conf/: elasticsearch or opensearch; "" when it is unknown
	version string
	host    string // that answered
}

const (
	elasticsearch = "elasticsearch"
	opensearch    = "opensearch"
)

// builtinPrefix begins the data streams for which every Elasticsearch has a
// template, logs-*-*. OpenSearch has none.
const builtinPrefix = "logs-"

// set is the product that the operator has said, "" if it is to be asked for.
func (b *Bootstrap) set() string {
	if b.config.Product == "auto" {
		return ""
	}
	return b.config.Product
}

// server asks for the product unless the operator has said it.
func (b *Bootstrap) server(ctx context.Context) (server, error) {
	if p := b.set(); p != "" {
		return server{product: p}, nil
	}
	return b.identify(ctx)
}

// identify asks the server what it is.
func (b *Bootstrap) identify(ctx context.Context) (server, error) {
	var info struct {
		Version struct {
			Distribution string `json:"distribution"`
			Number       string `json:"number"`
		} `json:"version"`
		Tagline string `json:"tagline"`
	}
	a, err := b.get(ctx, "/", &info)
	switch {
	case err != nil:
		return server{}, fmt.Errorf("which product is this: %w", err)
	case info.Version.Distribution == opensearch, strings.Contains(info.Tagline, "OpenSearch"): // in compatibility mode as 7.10.2
		return server{opensearch, info.Version.Number, a.Host}, nil
	case a.OK() && info.Version.Number != "", a.Header.Get("X-Elastic-Product") == "Elasticsearch":
		return server{elasticsearch, info.Version.Number, a.Host}, nil
	case a.Status == http.StatusForbidden, a.Status == http.StatusNotFound, a.OK(), b.set() != "":
		// A gateway may hide the version. What the target is decides then.
		return server{host: a.Host}, nil
	}
	return server{}, fmt.Errorf("%w; this is not how Elasticsearch or OpenSearch answer: %s", a.Err(), eshttp.HintProduct)
}
