package bootstrap

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxAnswer = 16 << 20 // bytes; the list of all templates of a large cluster
	maxReason = 300      // bytes of a server's reason in a line
	callLimit = 10 * time.Second
)

// answer of a server that is neither a success nor a reason to try again later.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) ok() bool { return a.status/100 == 2 }

// reason is what the server said, short enough for a line.
func (a answer) reason() string {
	var e struct {
		Error json.RawMessage `json:"error"`
	}
	text := string(a.body)
	if json.Unmarshal(a.body, &e) == nil && len(e.Error) > 0 {
		var cause struct {
			Reason   string `json:"reason"`
			CausedBy struct {
				Reason string `json:"reason"`
			} `json:"caused_by"`
		}
		switch {
		case json.Unmarshal(e.Error, &cause) == nil && cause.CausedBy.Reason != "":
			text = cause.Reason + ": " + cause.CausedBy.Reason
		case cause.Reason != "":
			text = cause.Reason
		default:
			text = strings.Trim(string(e.Error), `"`)
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxReason {
		text = text[:maxReason]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
		text += "..."
	}
	if text == "" {
		return fmt.Sprintf("status %d", a.status)
	}
	return fmt.Sprintf("status %d, %s", a.status, text)
}

// call sends a request and reads the whole answer. An error means that it is worth
// trying again: no or half an answer, 401, 408, 429, 3xx or 5xx but 501.
func (b *Bootstrap) call(ctx context.Context, method, path string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Body = nil
	}
	resp, err := b.transport.Perform(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: answer is cut: %w", method, req.URL.Path, err)
	}
	a := answer{resp.StatusCode, resp.Header, text}
	switch s := a.status; {
	case s == http.StatusNotImplemented: // it will not be later, either
	case s == http.StatusUnauthorized, s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s/100 == 5, s/100 == 3:
		return a, fmt.Errorf("%s %s: %s", method, req.URL.Path, a.reason())
	}
	return a, nil
}

// get calls and decodes the answer when it is a success.
func (b *Bootstrap) get(ctx context.Context, path string, into any) (answer, error) {
	a, err := b.call(ctx, http.MethodGet, path, nil)
	if err == nil && a.ok() {
		if err = json.Unmarshal(a.body, into); err != nil {
			err = fmt.Errorf("GET %s: answer is no JSON or cut: %w", path, err)
		}
	}
	return a, err
}

// put calls and wants the cluster to have taken it.
func (b *Bootstrap) put(ctx context.Context, path string, body []byte) (answer, error) {
	a, err := b.call(ctx, http.MethodPut, path, body)
	if err != nil || !a.ok() {
		return a, err
	}
	var taken struct {
		Acknowledged *bool `json:"acknowledged"`
	}
	if err := json.Unmarshal(a.body, &taken); err != nil {
		return a, fmt.Errorf("PUT %s: answer is no JSON or cut: %w", path, err)
	}
	if taken.Acknowledged != nil && !*taken.Acknowledged {
		return a, fmt.Errorf("PUT %s: not acknowledged in time", path)
	}
	return a, nil
}
