package esbulk

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// requestBuffer is the memory of the body of one request.
type requestBuffer struct {
	bytes.Buffer
	zip *gzip.Writer
}

var requestBuffers = sync.Pool{New: func() any {
	b := &requestBuffer{}
	b.zip, _ = gzip.NewWriterLevel(&b.Buffer, gzip.BestSpeed) // the level is valid
	return b
}}

// pack writes documents of a batch, compressed if wanted, and returns their size before.
// Writing to memory does not fail.
func (b *requestBuffer) pack(from *batch, docs []int32, compress bool) (plain int) {
	b.Reset()
	var to io.Writer = &b.Buffer
	if compress {
		b.zip.Reset(&b.Buffer)
		to = b.zip
	}
	for i := 0; i < len(docs); {
		// Neighbours are one piece of memory.
		first := i
		for i++; i < len(docs) && docs[i] == docs[i-1]+1; i++ {
		}
		part := from.buf[from.docs[docs[first]].action:from.docs[docs[i-1]].end]
		plain += len(part)
		_, _ = to.Write(part)
	}
	if compress {
		_ = b.zip.Close()
	}
	return plain
}
