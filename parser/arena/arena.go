// Package arena holds the values of one event that are not sub-slices of its line:
// unescaped, lower-cased or formatted texts.
package arena

// Arena is append-only memory for derived values. Values stay valid until Reset: when the
// buffer is full a new one is allocated, and the old one stays with the values in it.
// The zero value is ready. Not safe for concurrent use.
type Arena struct{ buf []byte }

// Reset makes room for the next event. All earlier values become invalid.
func (a *Arena) Reset() { a.buf = a.buf[:0] }

// Start returns a buffer with room for at least n more bytes. Append a value to it and
// pass the result to [Arena.Keep]; to discard the value, do nothing.
func (a *Arena) Start(n int) []byte {
	if cap(a.buf)-len(a.buf) < n {
		a.buf = make([]byte, 0, max(2*cap(a.buf), n, 1024))
	}
	return a.buf[len(a.buf):]
}

// Keep stores the value that was appended to the buffer of the last Start.
func (a *Arena) Keep(value []byte) []byte {
	if len(value) <= cap(a.buf)-len(a.buf) {
		a.buf = a.buf[:len(a.buf)+len(value)]
	}
	return value
}

// Lower returns v with ASCII letters in lower case: v itself if it has no upper-case
// letter, else a copy in the arena.
func (a *Arena) Lower(v []byte) []byte {
	for i, c := range v {
		if c >= 'A' && c <= 'Z' {
			return a.lowerFrom(v, i)
		}
	}
	return v
}

func (a *Arena) lowerFrom(v []byte, upper int) []byte {
	b := append(a.Start(len(v)), v...)
	for i := upper; i < len(b); i++ {
		if c := b[i]; c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return a.Keep(b)
}
