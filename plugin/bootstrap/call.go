package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"fluent-bit-fortiems/plugin/eshttp"
)

// call sends a request. An error means that it is worth trying again: no or half an
// answer, 401, 408, 429, 3xx or 5xx but 501.
func (b *Bootstrap) call(ctx context.Context, method, path string, body []byte) (*eshttp.Answer, error) {
	a, err := eshttp.Do(ctx, b.transport, method, path, body)
	if err != nil {
		return nil, err
	}
	b.host = a.Host
	switch s := a.Status; {
	case s == http.StatusNotImplemented: // it will not be later, either
	case s == http.StatusUnauthorized, s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s/100 == 5, s/100 == 3:
		return nil, a.Err()
	}
	return a, nil
}

// ask calls for what is good to know. Only an error that time will mend is one: a server
// that fails at the question (500), or whose answer is too long, does not hold up documents.
func (b *Bootstrap) ask(ctx context.Context, method, path string) (*eshttp.Answer, error) {
	a, err := b.call(ctx, method, path, nil)
	var e *eshttp.Error
	if errors.As(err, &e) && e.Status == http.StatusInternalServerError {
		return &eshttp.Answer{Status: e.Status}, nil
	}
	return a, err
}

// get calls and decodes the answer when it is a success.
func (b *Bootstrap) get(ctx context.Context, path string, into any) (*eshttp.Answer, error) {
	a, err := b.call(ctx, http.MethodGet, path, nil)
	if err == nil && a.OK() && json.Unmarshal(a.Body, into) != nil {
		return nil, a.Unreadable(ctx, eshttp.ErrNotJSON, a.Header)
	}
	return a, err
}

// put calls and wants the cluster to have acknowledged it.
func (b *Bootstrap) put(ctx context.Context, path string, body []byte) (*eshttp.Answer, error) {
	a, err := b.call(ctx, http.MethodPut, path, body)
	if err != nil || !a.OK() {
		return a, err
	}
	var taken struct {
		Acknowledged *bool `json:"acknowledged"`
	}
	if json.Unmarshal(a.Body, &taken) != nil {
		return nil, a.Unreadable(ctx, eshttp.ErrNotJSON, a.Header)
	}
	if taken.Acknowledged != nil && !*taken.Acknowledged {
		return nil, fmt.Errorf("%s: %s has not acknowledged it in time", a.Op, a.Host)
	}
	return a, nil
}
