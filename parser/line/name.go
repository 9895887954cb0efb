package line

import "unsafe"

// maxNameLen is the longest written key, in bytes.
const maxNameLen = 64

// isPlainName reports whether key is its own written form.
func isPlainName(key []byte) bool {
	for _, c := range key {
		if !isPlainByte(c) {
			return false
		}
	}
	return len(key) > 0 && len(key) <= maxNameLen
}

func isPlainByte(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' }

// AppendName appends the written form of a key: lower case, every byte that is not a
// letter, digit or underscore replaced by "_", at most maxNameLen bytes.
func AppendName(dst, key []byte) []byte {
	if len(key) == 0 {
		return append(dst, '_')
	}
	for _, c := range key[:min(len(key), maxNameLen)] {
		switch {
		case isPlainByte(c):
			dst = append(dst, c)
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c|0x20)
		default:
			dst = append(dst, '_')
		}
	}
	return dst
}

// nameIndex finds the first pair of a key that is not in the dictionary. The zero value is
// ready.
type nameIndex struct {
	// The keys share memory with the names of the pairs: they are valid until reset, which
	// comes before that memory is used again.
	first map[string]int32
}

// largeIndex is how many keys an index keeps room for. Clearing takes time for all the room
// that a map ever had, and one hostile line must not slow down the others.
const largeIndex = 1024

func (x *nameIndex) reset() {
	if len(x.first) > largeIndex {
		x.first = nil
	}
	clear(x.first)
}

// find returns the index of the first pair with this key, or -1.
func (x *nameIndex) find(name []byte) int {
	if n, ok := x.first[string(name)]; ok {
		return int(n)
	}
	return -1
}

// add enters pair n and returns -1, or the index of the first pair that has this key
// already. name must not change until reset.
func (x *nameIndex) add(name []byte, n int) int {
	if first := x.find(name); first >= 0 {
		return first
	}
	if x.first == nil {
		x.first = map[string]int32{}
	}
	x.first[unsafe.String(unsafe.SliceData(name), len(name))] = int32(n)
	return -1
}
