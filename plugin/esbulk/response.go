package esbulk

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

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

// Bounds of what is read and kept of a response, in bytes.
const (
	maxAnswer = 64 << 20
	maxReason = 2048 // of a reason
)

var (
	errNotJSON   = eshttp.ErrNotJSON
	errCut       = eshttp.ErrCut
	errTooLong   = errors.New("the answer is longer than 64 MB")
	errNoItems   = errors.New("the answer has no items")
	errCount     = errors.New("the answer has another number of items than were sent")
	errOtherItem = errors.New("the answer is about other documents than were sent")
	errNoStatus  = errors.New("the answer has an item without a status")
)

// isAnswerError reports whether err is about the answer, not about the connection.
func isAnswerError(err error) bool {
	return slices.Contains([]error{errNotJSON, errCut, errTooLong, errNoItems, errCount, errOtherItem, errNoStatus}, err)
}

// readItems reads a bulk response to its end, token by token. It calls each with the
// items in their order and their _id (empty if there is none), valid during the call
// only, and returns their number. Fields may be in any order and unknown. An error means
// that nothing of the answer counts.
func readItems(r io.Reader, each func(i int, it *item, id []byte) error) (n int, err error) {
	limited := &io.LimitedReader{R: r, N: maxAnswer}
	d := answerDecoder{Decoder: jsontext.NewDecoder(limited, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	found := false
	err = d.object(func(key []byte) error {
		if string(key) != "items" {
			return d.SkipValue()
		}
		found = true
		return d.list('[', func() error {
			if err := d.readItem(); err != nil {
				return err
			}
			n++
			return each(n-1, &d.item, d.id)
		})
	})
	if err == nil {
		if _, err = d.ReadToken(); err == nil {
			err = errNotJSON // something follows
		} else if err == io.EOF {
			err = nil
		}
	}
	if err == nil && !found {
		err = errNoItems
	}
	var syntax *jsontext.SyntacticError
	switch {
	case err != nil && limited.N <= 0:
		err = errTooLong
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		err = errCut
	case errors.As(err, &syntax):
		err = errNotJSON
	}
	return n, err
}

// answerDecoder reads the parts of a bulk response.
type answerDecoder struct {
	*jsontext.Decoder
	item         item
	id, key, buf []byte
}

// list reads an object or array that begins with open; element is called at each name or
// element.
func (d *answerDecoder) list(open jsontext.Kind, element func() error) error {
	if token, err := d.ReadToken(); err != nil {
		return err
	} else if token.Kind() != open {
		return errNotJSON
	}
	for d.PeekKind() != open+2 { // the closing bracket, in ASCII
		if err := element(); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

// object reads an object; value is called to read the value of each key, which is valid
// until it reads.
func (d *answerDecoder) object(value func(key []byte) error) error {
	return d.list('{', func() error {
		var err error
		if d.key, err = d.text(d.key[:0]); err != nil {
			return err
		}
		return value(d.key)
	})
}

// text appends a text to dst, or skips what is none.
func (d *answerDecoder) text(dst []byte) ([]byte, error) {
	if d.PeekKind() != '"' {
		return dst, d.SkipValue()
	}
	quoted, err := d.ReadValue()
	if err == nil {
		dst, _ = jsontext.AppendUnquote(dst, quoted) // U+FFFD in place of bytes that are no UTF-8
	}
	return dst, err
}

// readItem reads {"create": {"_id": …, "status": …, "error": …, "failure_store": …}} with
// any action.
func (d *answerDecoder) readItem() error {
	d.item, d.id = item{}, d.id[:0]
	it, actions := &d.item, 0
	err := d.object(func([]byte) error {
		actions++
		return d.object(func(key []byte) (err error) {
			switch string(key) {
			case "status":
				var number jsontext.Value
				number, err = d.ReadValue()
				it.status, _ = strconv.Atoi(string(number)) // 0 if it is no whole number
			case "_id":
				d.id, err = d.text(d.id[:0])
			case "error":
				it.kind, it.reason, err = d.failure()
			case "failure_store":
				d.buf, err = d.text(d.buf[:0])
				it.inFailureStore = string(d.buf) == "used"
			default:
				err = d.SkipValue()
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
func (d *answerDecoder) failure() (kind, reason string, err error) {
	if d.PeekKind() != '{' {
		d.buf, err = d.text(d.buf[:0])
		return "", shorten(string(d.buf)), err
	}
	var cause string
	err = d.object(func(key []byte) (err error) {
		switch string(key) {
		case "type":
			d.buf, err = d.text(d.buf[:0])
			kind = eshttp.TypeName(d.buf)
		case "reason":
			d.buf, err = d.text(d.buf[:0])
			reason = string(d.buf)
		case "caused_by":
			_, cause, err = d.failure()
		default:
			err = d.SkipValue()
		}
		return err
	})
	if reason != "" && cause != "" {
		reason += ": "
	}
	return kind, shorten(reason + cause), err
}

// shorten cuts a reason to its bound.
func shorten(s string) string {
	if len(s) <= maxReason {
		return s
	}
	s = s[:maxReason]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
