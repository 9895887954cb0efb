package esbulk

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/klauspost/compress/gzip"
)

// verdict is what an answer means for the whole request.
type verdict int

const (
	answered    verdict = iota // items hold the answers
	tooLarge                   // 413
	busy                       // 429
	unusable                   // sent, but what became of it is unknown
	unreachable                // not sent: no connection, or no trust
	refused                    // an operator has to do something, or the server to recover
	ended                      // the deadline is over or the instance is closing
)

// answer is what came of one request.
type answer struct {
	verdict verdict
	status  int           // 0 without a response
	wait    time.Duration // Retry-After, 0 if there is none
	items   []item        // of the documents that were sent, in their order
	// cause names one of a few classes of trouble, for the throttle of log lines;
	// text says it in words for an operator.
	cause, text string
	host        string
}

// filterPath keeps what we read in the answer and leaves the rest out: a quarter
// of the bytes.
var filterPath = []string{"errors", "items.*._id", "items.*.status", "items.*.error", "items.*.failure_store", "error", "status"}

// payload is the body of a request. The HTTP transport may still read it after the
// answer is there; after release it reads nothing more, so the memory can be used
// again.
type payload struct {
	mu   *sync.Mutex // shared by all readers of one body
	data *[]byte     // nil inside after release
	size int
	at   int
}

func newPayload(data []byte) *payload {
	return &payload{mu: new(sync.Mutex), data: &data, size: len(data)}
}

func (p *payload) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *p.data == nil {
		return 0, io.ErrClosedPipe
	}
	if p.at >= len(*p.data) {
		return 0, io.EOF
	}
	n := copy(b, (*p.data)[p.at:])
	p.at += n
	return n, nil
}

func (p *payload) Close() error { return nil }

func (p *payload) again() (io.ReadCloser, error) {
	return &payload{mu: p.mu, data: p.data, size: p.size}, nil
}

func (p *payload) release() {
	p.mu.Lock()
	*p.data = nil
	p.mu.Unlock()
}

// wire is the memory of a request on its way.
type wire struct {
	buf bytes.Buffer
	zip *gzip.Writer
}

var wires = sync.Pool{New: func() any {
	w := &wire{}
	w.zip, _ = gzip.NewWriterLevel(&w.buf, gzip.BestSpeed) // the level is valid
	return w
}}

// pack writes the chosen documents of a batch, compressed if wanted.
func (w *wire) pack(b *batch, chosen []int32, compress bool) (plain int, err error) {
	w.buf.Reset()
	var to io.Writer = &w.buf
	if compress {
		w.zip.Reset(&w.buf)
		to = w.zip
	}
	for i := 0; i < len(chosen); {
		// Neighbours are one piece of memory.
		first := i
		for i++; i < len(chosen) && chosen[i] == chosen[i-1]+1; i++ {
		}
		part := b.buf[b.docs[chosen[first]].action:b.docs[chosen[i-1]].end]
		plain += len(part)
		if _, err = to.Write(part); err != nil {
			return plain, err
		}
	}
	if compress {
		err = w.zip.Close()
	}
	return plain, err
}

// send sends the chosen documents of a batch in one request and reads the answer.
func (s *Shipper) send(ctx context.Context, b *batch, chosen []int32, ids bool) (a answer) {
	w := wires.Get().(*wire)
	plain, err := w.pack(b, chosen, s.c.Gzip)
	if err != nil {
		return answer{verdict: refused, cause: "compress", text: "cannot compress a request: " + err.Error()}
	}
	size := w.buf.Len()
	body := newPayload(w.buf.Bytes())
	start := s.now()
	s.count.requestBegin()
	defer func() {
		s.count.requestEnd(a.status, s.now().Sub(start), plain, size)
		body.release()
		if w.buf.Cap() <= s.maxPooled {
			wires.Put(w)
		}
	}()
	host := "the server"
	header := http.Header{"Content-Type": {"application/x-ndjson"}, "Accept": {"application/json"}}
	if s.c.Gzip {
		header.Set("Content-Encoding", "gzip")
	}
	response, err := esapi.BulkRequest{Body: body, FilterPath: filterPath, Header: header}.
		Do(context.WithValue(ctx, witnessKey{}, &host), s.transport)
	if err != nil {
		return s.broken(ctx, host, err)
	}
	defer finish(response.Body)
	a = s.read(ctx, host, response, b, chosen, ids)
	a.status, a.host = response.StatusCode, host
	a.wait = retryAfter(response.Header, s.now())
	return a
}

// finish reads a little of what is left, so that the connection can be used again,
// and closes.
func finish(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	body.Close()
}

// read turns a response into an answer.
func (s *Shipper) read(ctx context.Context, host string, r *esapi.Response, b *batch, chosen []int32, ids bool) answer {
	switch code := r.StatusCode; {
	case code >= 200 && code < 300:
		return s.readAnswers(ctx, host, r, b, chosen, ids)
	case code == http.StatusRequestEntityTooLarge:
		return answer{verdict: tooLarge, cause: "413", text: host + " takes no request of this size (413)"}
	case code == http.StatusTooManyRequests:
		return answer{verdict: busy, cause: "429", text: host + " is overloaded (429)"}
	default:
		page := strings.Contains(r.Header.Get("Content-Type"), "html")
		kind := ""
		if !page {
			kind = readFailure(io.LimitReader(r.Body, 64<<10))
		}
		return answer{verdict: refused, cause: fmt.Sprintf("status %d", code), text: explain(host, code, kind, page)}
	}
}

// explain says what a status means for an operator.
func explain(host string, code int, kind string, page bool) string {
	what := fmt.Sprintf("%s answered %d", host, code)
	if kind != "" {
		what += " " + kind
	}
	switch {
	case page && code >= 400 && code != http.StatusProxyAuthRequired:
		return what + " with a web page: is there a proxy in front of the server?"
	case code == http.StatusUnauthorized:
		return what + ": the credentials are not accepted, check api_key or username and password"
	case code == http.StatusForbidden && strings.Contains(kind, "block"):
		return what + ": writing is blocked, is the disk full or the index read-only?"
	case code == http.StatusForbidden:
		return what + ": the user may not write there, check its privileges"
	case code == http.StatusNotFound:
		return what + ": there is no bulk endpoint or no such target, check hosts, data_stream and index"
	case code == http.StatusProxyAuthRequired:
		return what + ": a proxy wants credentials"
	case code >= 300 && code < 400:
		return what + ": a redirect is not followed, put the address it leads to into hosts"
	case code >= 500:
		return what + ": the server or a proxy in front of it cannot take requests now"
	}
	return what + ": the server refuses the request as a whole"
}

// readAnswers reads the answers to the documents.
func (s *Shipper) readAnswers(ctx context.Context, host string, r *esapi.Response, b *batch, chosen []int32, ids bool) answer {
	items := make([]item, 0, len(chosen))
	var want []byte
	_, err := readItems(r.Body, func(i int, it *item, id []byte) error {
		if i >= len(chosen) {
			return errCount
		}
		if ids && len(id) > 0 && !it.diverted {
			if want = b.docID(want[:0], &b.docs[chosen[i]]); !bytes.Equal(want, id) {
				return errOtherItem
			}
		}
		items = append(items, *it)
		return nil
	})
	if err == nil && len(items) != len(chosen) {
		err = errCount
	}
	switch {
	case err == nil:
		return answer{verdict: answered, items: items}
	case ctx.Err() != nil:
		return s.over(ctx, host)
	case err == errNotJSON && strings.Contains(r.Header.Get("Content-Type"), "html"):
		err = errors.New("the answer is a web page: is there a proxy or another service at this address?")
	case err == errCount && len(items) == 0 && s.c.Gzip:
		err = fmt.Errorf("%w, none: does the server understand gzip? else set compress off", err)
	case !errors.Is(err, errCut) && !isOurs(err):
		err = fmt.Errorf("the connection broke: %w", err)
	}
	return answer{verdict: unusable, cause: "unusable", text: host + ": " + err.Error()}
}

func isOurs(err error) bool {
	for _, e := range []error{errNotJSON, errNoItems, errCount, errOtherItem, errNoStatus} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// over is the answer when the deadline passed or the instance is closing.
func (s *Shipper) over(ctx context.Context, host string) answer {
	if errors.Is(context.Cause(ctx), errClosing) {
		return answer{verdict: ended, cause: "closing", text: "the output is stopping"}
	}
	return answer{verdict: ended, cause: "deadline", text: fmt.Sprintf("%s did not answer within flush_timeout (%v)", host, s.c.FlushTimeout)}
}

// broken turns an error of a request without a response into an answer. Its text
// holds addresses and reasons; requests carry no credentials in their URL.
func (s *Shipper) broken(ctx context.Context, host string, err error) answer {
	if ctx.Err() != nil {
		return s.over(ctx, host)
	}
	if text := distrust(err); text != "" {
		return answer{verdict: unreachable, cause: "tls", text: host + ": " + text}
	}
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return answer{verdict: unreachable, cause: "dns", text: fmt.Sprintf("%s: the name cannot be resolved: %v", host, dns)}
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect"):
		return answer{verdict: unreachable, cause: "dial", text: fmt.Sprintf("%s cannot be reached: %v", host, op)}
	}
	return answer{verdict: unusable, cause: "broken", text: fmt.Sprintf("%s: the connection broke before the answer: %v", host, err)}
}

// distrust names the reason why TLS failed, "" if it was something else.
func distrust(err error) string {
	var (
		unknown   x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		plain     tls.RecordHeaderError
		alert     tls.AlertError
		unverfied *tls.CertificateVerificationError
		op        *net.OpError
	)
	switch {
	case errors.Is(err, errPin):
		return errPin.Error()
	case errors.As(err, &unknown):
		return "the certificate is signed by an unknown authority: set ca_file or ca_fingerprint"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not valid yet: " + invalid.Detail
	case errors.As(err, &invalid):
		return "the certificate is not valid: " + invalid.Error()
	case errors.As(err, &name):
		return "the certificate is for another host name: " + name.Error()
	case errors.As(err, &plain):
		return "the server does not speak TLS: is it http:// instead of https://?"
	case errors.As(err, &unverfied):
		return "the certificate cannot be checked: " + unverfied.Error()
	case errors.As(err, &alert), errors.As(err, &op) && op.Op == "remote error":
		return fmt.Sprintf("the server ended the TLS handshake (%v): does it want another client certificate?", err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the server does not speak TLS: is it http:// instead of https://?"
	}
	return ""
}
