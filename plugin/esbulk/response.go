package esbulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"

	"fluent-bit-fortiems/plugin/eshttp"
)

// item is what a server answered for one document.
type item struct {
	status int
	// kind and reason are error.type and error.reason with the reasons of
	// caused_by after it; only of items that have an error.
	kind, reason string
	// inFailureStore: the failure store of its data stream took the document, under
	// another id.
	inFailureStore bool
}

// Bounds of what is kept of a response.
const (
	maxNesting = 200
	maxID      = 1024 // bytes of a text that is compared or kept as a type
	maxReason  = 2048 // bytes of a reason
)

var (
	errNotJSON   = eshttp.ErrNotJSON
	errCut       = eshttp.ErrCut
	errNoItems   = errors.New("the answer has no items")
	errCount     = errors.New("the answer has another number of items than were sent")
	errOtherItem = errors.New("the answer is about other documents than were sent")
	errNoStatus  = errors.New("the answer has an item without a status")
)

// isAnswerError reports whether err is about the answer, not about the connection.
func isAnswerError(err error) bool {
	return slices.Contains([]error{errNotJSON, errCut, errNoItems, errCount, errOtherItem, errNoStatus}, err)
}

// readItems reads a bulk response to its end in constant memory. It calls each with the
// items in their order and their _id (empty if there is none), valid during the call
// only, and returns their number. Fields may be in any order and unknown. An error means
// that nothing of the answer counts.
func readItems(r io.Reader, each func(i int, it *item, id []byte) error) (n int, err error) {
	s := scanner{r: r}
	found := false
	err = s.object(func(key []byte) error {
		if string(key) != "items" {
			return s.skip()
		}
		found = true
		return s.array(func() error {
			s.it = item{}
			if err := s.item(&s.it); err != nil {
				return err
			}
			n++
			return each(n-1, &s.it, s.id)
		})
	})
	if err == nil {
		err = s.end()
	}
	if err == nil && !found {
		err = errNoItems
	}
	return n, err
}

// item reads {"create": {"_id": …, "status": …, "error": …, "failure_store": …}} with
// any action.
func (s *scanner) item(it *item) error {
	s.id = s.id[:0]
	actions := 0
	err := s.object(func([]byte) error {
		actions++
		return s.object(func(key []byte) (err error) {
			switch string(key) {
			case "status":
				it.status, err = s.number()
			case "_id":
				s.id, err = s.textOrSkip(s.id, maxID)
			case "error":
				err = s.failure(it)
			case "failure_store":
				s.scratch, err = s.textOrSkip(s.scratch[:0], maxID)
				it.inFailureStore = string(s.scratch) == "used"
			default:
				err = s.skip()
			}
			return err
		})
	})
	if err == nil && (actions != 1 || it.status < 100 || it.status > 599) {
		err = errNoStatus
	}
	return err
}

// failure reads an error: an object, or a text in old versions.
func (s *scanner) failure(it *item) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c == '"' {
		s.scratch, err = s.text(s.scratch[:0], maxReason)
		it.reason = string(s.scratch)
		return err
	}
	if c != '{' {
		return s.skip()
	}
	return s.object(func(key []byte) (err error) {
		switch string(key) {
		case "type":
			s.scratch, err = s.textOrSkip(s.scratch[:0], maxID)
			it.kind = eshttp.TypeName(s.scratch)
		case "reason":
			s.scratch, err = s.textOrSkip(s.scratch[:0], maxReason)
			it.reason = join(string(s.scratch), it.reason)
		case "caused_by":
			var cause item
			if err = s.failure(&cause); err == nil && cause.reason != "" {
				it.reason = join(it.reason, cause.reason)
			}
		default:
			err = s.skip()
		}
		return err
	})
}

// join puts two reasons together within the bound.
func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "" || len(a)+len(b) > maxReason:
		return a
	}
	return a + ": " + b
}

// scanner reads JSON from a stream in constant memory.
type scanner struct {
	r        io.Reader
	buf      [8 << 10]byte
	at, have int
	depth    int
	failed   error

	it               item
	key, id, scratch []byte
}

// byte0 returns the next byte without taking it. The end of the stream is errCut.
func (s *scanner) byte0() (byte, error) {
	for s.at == s.have {
		if s.failed != nil {
			return 0, s.failed
		}
		n, err := s.r.Read(s.buf[:])
		s.at, s.have = 0, n
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = errCut
		}
		s.failed = err
	}
	return s.buf[s.at], nil
}

// peek returns the next byte that is no white space without taking it.
func (s *scanner) peek() (byte, error) {
	for {
		c, err := s.byte0()
		if err != nil || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c, err
		}
		s.at++
	}
}

// take takes the byte c after white space.
func (s *scanner) take(c byte) error {
	got, err := s.peek()
	if err == nil && got != c {
		err = errNotJSON
	}
	if err == nil {
		s.at++
	}
	return err
}

// end accepts only white space until the end of the stream.
func (s *scanner) end() error {
	switch _, err := s.peek(); err {
	case errCut:
		return nil
	case nil:
		return errNotJSON
	default:
		return err
	}
}

func (s *scanner) enter() error {
	if s.depth++; s.depth > maxNesting {
		return errNotJSON
	}
	return nil
}

// more reports whether another element follows in an array or object that ends
// with last, and takes the comma or the end.
func (s *scanner) more(first bool, last byte) (bool, error) {
	c, err := s.peek()
	switch {
	case err != nil:
		return false, err
	case c == last:
		s.at++
		s.depth--
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, errNotJSON
	}
	s.at++
	if c, err = s.peek(); err == nil && c == last {
		err = errNotJSON
	}
	return true, err
}

// object reads an object; value is called to read the value of each key, which is
// valid until it reads.
func (s *scanner) object(value func(key []byte) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := s.more(first, '}')
		if !more || err != nil {
			return err
		}
		if s.key, err = s.text(s.key[:0], maxID); err != nil {
			return err
		}
		if err := s.take(':'); err != nil {
			return err
		}
		if err := value(s.key); err != nil {
			return err
		}
	}
}

func (s *scanner) array(element func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := s.more(first, ']')
		if !more || err != nil {
			return err
		}
		if err := element(); err != nil {
			return err
		}
	}
}

// skip reads any value.
func (s *scanner) skip() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return s.object(func([]byte) error { return s.skip() })
	case '[':
		return s.array(s.skip)
	case '"':
		s.scratch, err = s.text(s.scratch[:0], 0)
		return err
	}
	_, err = s.literal()
	return err
}

// literal reads a number, true, false or null. It takes some words that are none of these.
func (s *scanner) literal() ([]byte, error) {
	s.scratch = s.scratch[:0]
	c, err := s.peek()
	for ; err == nil; c, err = s.byte0() {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' {
			if len(s.scratch) == 0 {
				err = errNotJSON
			}
			return s.scratch, err
		}
		if len(s.scratch) < maxID {
			s.scratch = append(s.scratch, c)
		}
		s.at++
	}
	return s.scratch, err // it cannot be the end of an answer
}

// number reads a whole number; anything else than that is 0.
func (s *scanner) number() (int, error) {
	text, err := s.literal()
	n, _ := strconv.Atoi(string(text))
	return n, err
}

// textOrSkip reads a text, or skips what is none.
func (s *scanner) textOrSkip(dst []byte, most int) ([]byte, error) {
	c, err := s.peek()
	if err != nil {
		return dst, err
	}
	if c != '"' {
		return dst, s.skip()
	}
	return s.text(dst, most)
}

// text appends a text to dst, at most about most bytes of it.
func (s *scanner) text(dst []byte, most int) ([]byte, error) {
	if err := s.take('"'); err != nil {
		return dst, err
	}
	start, inEscape, escapes, cut := len(dst), false, false, false
	for {
		c, err := s.byte0()
		if err != nil {
			return dst, err
		}
		s.at++
		switch {
		case c == '"' && !inEscape && escapes:
			return unescape(dst, start, cut)
		case c == '"' && !inEscape:
			return dst, nil
		case c < ' ':
			return dst, errNotJSON
		case len(dst)-start < most:
			dst = append(dst, c)
		default:
			cut = true
		}
		inEscape = c == '\\' && !inEscape
		escapes = escapes || inEscape
	}
}

// unescape replaces the escapes of a text from start on. The last one may be cut.
func unescape(dst []byte, start int, cut bool) ([]byte, error) {
	for {
		var text string
		if json.Unmarshal(slices.Concat([]byte{'"'}, dst[start:], []byte{'"'}), &text) == nil {
			return append(dst[:start], text...), nil
		}
		last := bytes.LastIndexByte(dst[start:], '\\')
		if !cut || last < 0 {
			return dst[:start], errNotJSON
		}
		dst, cut = dst[:start+last], false
	}
}
