package esbulk

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"unsafe"
)

// chunkID identifies a chunk: a hash of its tag and all its bytes. It is
// cryptographic because a sender chooses the bytes, and two chunks with one
// identity would be stored as one.
type chunkID [sha256.Size]byte

func identify(tag string, chunk []byte) (id chunkID) {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(tag)))
	h.Write(n[:])
	h.Write(unsafe.Slice(unsafe.StringData(tag), len(tag))) // only read
	h.Write(chunk)
	h.Sum(id[:0])
	return id
}

// idPrefix is the part of a document's id that all documents of a chunk share:
// 120 bits of the chunk's identity. The position follows it, so ids of one chunk lie
// together in the index and are found fast.
const idPrefix = 20

// appendDocID appends the id of the document at a position of the chunk. It needs no
// escape in JSON.
func (id *chunkID) appendDocID(dst []byte, position int) []byte {
	dst = base64.RawURLEncoding.AppendEncode(dst, id[:idPrefix*3/4])
	dst = append(dst, '-')
	return strconv.AppendUint(dst, uint64(position), 10)
}
