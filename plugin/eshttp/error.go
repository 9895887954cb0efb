package eshttp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Class is the kind of a failure: how far the request came.
type Class string

// The classes.
const (
	Unresolved  Class = "dns"        // not sent: the name of the host has no address
	Unreachable Class = "dial"       // not sent: no connection
	Untrusted   Class = "tls"        // not sent: TLS failed
	Broken      Class = "broken"     // the connection broke; the server may have acted on the request
	Unreadable  Class = "unreadable" // answered, but not as an Elasticsearch would; it may have acted
	Refused     Class = "status"     // answered with a status that is no success
	Ended       Class = "ended"      // the context ended first; the server may have acted
)

// Error is a request, or a document of a bulk request, that did not succeed.
type Error struct {
	Host   string // scheme and address, "" before one is chosen
	Op     string // method and path
	Class  Class
	Status int    // 0 without an answer
	Type   string // error.type of the answer, one word, or ""
	Reason string // error.reason of the answer; it can quote a document
	Cause  string // what happened
	Hint   string // what an operator can do, or ""

	privilege string // that the user lacks, as the answer names it, or ""

	// Foreign: what refused it is no search server, which explains itself in JSON.
	Foreign bool
	Err     error // wrapped, or nil
}

// Error has everything. The reason is at most 300 bytes.
func (e *Error) Error() string {
	return e.Op + ": " + e.text(e.Reason)
}

// Brief leaves out operation and reason: for lines that must not quote a document.
func (e *Error) Brief() string { return e.text("") }

func (e *Error) text(reason string) string {
	between := ": "
	if e.Class == Refused && e.Hint != hintTLS || e.Class == Unreachable {
		between = " "
	}
	s := cmp.Or(e.Host, "the server") + between + e.Cause
	switch {
	case reason != "":
		s += " (" + reason + ")"
	case e.privilege != "":
		s += " (missing privilege " + e.privilege + ")"
	}
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Ill reports whether another host may do better: this one cannot be reached, did not
// answer, cannot take requests, or is no search server.
func (e *Error) Ill() bool {
	if e.Class != Refused {
		return true
	}
	switch s := e.Status; {
	case s == http.StatusNotImplemented, s == http.StatusRequestEntityTooLarge, s == http.StatusTooManyRequests:
		return false
	case s/100 == 3, s/100 == 5, s == http.StatusProxyAuthRequired:
		return true
	}
	return e.Foreign
}

func (e *Error) Unwrap() error { return e.Err }

// Kind is a key to throttle log lines by; there are few.
func (e *Error) Kind() string {
	switch e.Class {
	case Refused:
		return fmt.Sprint("status ", e.Status)
	case Ended:
		return "ended: " + e.Cause
	}
	return string(e.Class)
}

// What is wrong with an answer of any request.
var (
	ErrCut     = errors.New("the answer is cut")
	ErrNotJSON = errors.New("the answer is not JSON")
)

// Failed explains an error without a response.
func (c *Call) Failed(ctx context.Context, err error) *Error {
	e := &Error{Host: c.Host, Op: c.Op, Err: err}
	var op *net.OpError
	var dns *net.DNSError
	var proxy *proxyError
	switch {
	case ctx.Err() != nil:
		return c.ended(ctx)
	case e.tls(err):
		e.Class = Untrusted
	case errors.As(err, &proxy):
		e.Class, e.Cause, e.Hint = Unreachable, "cannot be reached: "+proxy.Error(), hintProxy
		if proxy.status == http.StatusProxyAuthRequired {
			e.Hint = hintProxyLogin
		}
	case strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`): // an alert of TLS
		e.Class, e.Cause, e.Hint = Broken, "the server speaks TLS", hintTLS
	case errors.As(err, &dns):
		e.Class, e.Cause = Unresolved, "the name cannot be resolved: "+dns.Error()
		e.Hint = "check the name in hosts and the DNS of this machine"
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect"):
		e.Class, e.Cause = Unreachable, "cannot be reached: "+op.Error()
		e.Hint = "is it running, and do address, port and firewall fit?"
	default:
		e.Class, e.Cause = Broken, "the connection broke before the answer: "+err.Error()
	}
	return e
}

// ended explains a request that the context ended; its cause says why, as in "10s passed".
func (c *Call) ended(ctx context.Context) *Error {
	err := context.Cause(ctx)
	return &Error{Host: c.Host, Op: c.Op, Class: Ended, Cause: "no answer before " + err.Error(), Err: err}
}

// Unreadable explains a response whose body cannot be used because of err.
func (c *Call) Unreadable(ctx context.Context, err error, h http.Header) *Error {
	e := &Error{Host: c.Host, Op: c.Op, Class: Unreadable, Cause: err.Error(), Err: err}
	switch {
	case ctx.Err() != nil:
		return c.ended(ctx)
	case errors.Is(err, ErrNotJSON) && isPage(h):
		e.Cause, e.Hint = "the answer is a web page", hintOtherService
	}
	return e
}

// Refused explains a response with a status that is no success. It reads body.
func (c *Call) Refused(status int, h http.Header, body io.Reader) *Error {
	text, _ := io.ReadAll(io.LimitReader(body, 1<<20)) // what could be read is good enough for a line
	if status == http.StatusBadRequest && bytes.Contains(text, []byte("HTTP request")) && bytes.Contains(text, []byte("HTTPS")) {
		e := c.refused(status, "", "", false)
		e.Cause, e.Hint, e.Foreign = "the server speaks TLS", hintTLS, true
		return e
	}
	if isPage(h) {
		e := c.refused(status, "", "", true)
		e.Foreign = true
		return e
	}
	kind, reason, search := failure(text)
	e := c.refused(status, kind, reason, false)
	// A core without a feature takes the question for one about a document.
	document := status == http.StatusNotFound && !strings.Contains(c.Op, "/_bulk") && json.Valid(text)
	e.Foreign = !search && !document && !strings.HasPrefix(c.Op, http.MethodHead)
	if to := h.Get("Location"); status/100 == 3 && to != "" {
		e.Cause += " to " + oneLine(withoutQuery(to))
	}
	return e
}

// RefusedItem explains the answer to one document of a bulk request. reason is not kept.
func (c *Call) RefusedItem(status int, kind, reason string) *Error {
	e := c.refused(status, kind, reason, false)
	e.Reason = ""
	return e
}

func (c *Call) refused(status int, kind, reason string, page bool) *Error {
	e := &Error{Host: c.Host, Op: c.Op, Class: Refused, Status: status, Type: kind, Reason: reason}
	e.Cause = fmt.Sprintf("answered %d", status)
	if kind != "" {
		e.Cause += " " + kind
	}
	if page {
		e.Cause += " with a web page"
	}
	if m := lacking.FindStringSubmatch(reason); m != nil && kind == "security_exception" {
		e.privilege = m[1]
	}
	e.Hint = hint(e, page)
	return e
}

// lacking finds the privilege in the reason of OpenSearch and of Elasticsearch. Nothing of a
// document stands before it.
var lacking = regexp.MustCompile(`^(?:no permissions for|action) \[((?:cluster|indices):[a-z_/]+)`)

// withoutQuery cuts what of an address may hold a secret.
func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "another address"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func isPage(h http.Header) bool { return strings.Contains(h.Get("Content-Type"), "html") }

// failure reads type and reason of an answer in JSON: {"error": {"type", "reason",
// "caused_by": {"reason"}}} or {"error": "text"}. Of anything else the text is the
// reason. search is false if it is none that a search server gives.
func failure(body []byte) (kind, reason string, search bool) {
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Error) == 0 {
		return "", oneLine(string(body)), false
	}
	var e struct {
		Type     string `json:"type"`
		Reason   string `json:"reason"`
		CausedBy struct {
			Reason string `json:"reason"`
		} `json:"caused_by"`
	}
	_ = json.Unmarshal(answer.Error, &e) // fields of other types stay empty
	switch {
	case e.Reason == "" && e.Type == "":
		reason = strings.Trim(string(answer.Error), `"`)
	case e.CausedBy.Reason != "":
		reason = e.Reason + ": " + e.CausedBy.Reason
	default:
		reason = e.Reason
	}
	return TypeName([]byte(e.Type)), oneLine(reason), true
}

// TypeName returns an error type if it may be in a log line: one word, as all types
// are; else "".
func TypeName(s []byte) string {
	for _, c := range s {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return ""
		}
	}
	return string(s[:min(len(s), 100)])
}

const maxReason = 300 // bytes of a reason in a line

// oneLine makes a text short enough for a line.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxReason {
		return s
	}
	s = s[:maxReason]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "..."
}
