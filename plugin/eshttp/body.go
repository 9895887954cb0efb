package eshttp

import (
	"io"
	"sync"
)

// Body is the body of a request in memory of the caller. net/http may still read it
// after the answer is there; after Release it reads nothing more, so the memory can be
// used again.
type Body struct {
	shared *sharedBody
	size   int
	at     int
}

// sharedBody is what all readers of one body have in common.
type sharedBody struct {
	mu   sync.Mutex
	data []byte // nil after Release
}

// NewBody borrows data until Release.
func NewBody(data []byte) *Body { return &Body{shared: &sharedBody{data: data}, size: len(data)} }

// Read implements io.Reader.
func (b *Body) Read(dst []byte) (int, error) {
	b.shared.mu.Lock()
	defer b.shared.mu.Unlock()
	if b.shared.data == nil {
		return 0, io.ErrClosedPipe
	}
	if b.at >= b.size {
		return 0, io.EOF
	}
	n := copy(dst, b.shared.data[b.at:])
	b.at += n
	return n, nil
}

// Close implements io.Closer.
func (b *Body) Close() error { return nil }

// again returns another reader of the same body.
func (b *Body) again() (io.ReadCloser, error) { return &Body{shared: b.shared, size: b.size}, nil }

// Release ends all reading.
func (b *Body) Release() {
	b.shared.mu.Lock()
	b.shared.data = nil
	b.shared.mu.Unlock()
}
