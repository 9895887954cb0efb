// Package option holds every option of the plugins in one table per plugin:
// key, type, default, description and check. Decoding, the refusal of bad
// values, the help of the host (plugin/options_gen.h) and the tables of the
// README all come from these tables, so they cannot disagree.
//
// Values are read through a func(key string) string that answers "" for a key
// that is not set; an empty value therefore always means the default. All
// mistakes are reported together. The package has no state; everything in it is
// safe for concurrent use.
package option

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

//go:generate go run ./optiongen -header ../options_gen.h

// Type is how a value is written. The host prints it in its help.
type Type int

// The types of Fluent Bit's own options that ours use.
const (
	Text  Type = iota // any text
	Bool              // on, off, true, false, yes, no, 1, 0
	List              // comma-separated texts
	Count             // a whole number
	Size              // bytes, with k, M or G
	Time              // seconds, or a number with s, m, h
)

// types holds the name of each type, and the name that plugin/abi.h gives it for the host.
var types = [...]struct{ name, c string }{
	Text:  {"text", "FTNT_OPT_STR"},
	Bool:  {"boolean", "FTNT_OPT_BOOL"},
	List:  {"list", "FTNT_OPT_CLIST"},
	Count: {"number", "FTNT_OPT_INT"},
	Size:  {"size", "FTNT_OPT_SIZE"},
	Time:  {"time", "FTNT_OPT_TIME"},
}

func (t Type) String() string { return types[t].name }

// Option is one row of a table.
type Option struct {
	Key     string
	Type    Type
	Default string // as the user would write it; "" means unset
	Text    string // one sentence: what it does
	Valid   string // the valid values, as the error message lists them
	Secret  bool   // the value never appears in a log or an error

	// show returns the part of a refused value that may appear in an error; nil: all of it.
	show func(value string) string
	// check returns nil for a valid value, errNotValid when Valid says everything,
	// else the reason. value is never empty. A nil check accepts every value.
	check func(value string) error
}

// errNotValid is the error of a check that has nothing to add to Option.Valid.
var errNotValid = errors.New("not valid")

// Error is one refused value. Its text names the key, the value (unless it is
// secret), the reason if there is one, and the valid values.
type Error struct {
	Key, Value, Valid string
	Reason            error // nil when Valid says it all
	Secret            bool
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Key)
	if e.Secret {
		b.WriteString(": the value is not valid")
	} else {
		fmt.Fprintf(&b, ": %s is not valid", strconv.Quote(shorten(e.Value)))
	}
	if e.Reason != nil {
		fmt.Fprintf(&b, " (%v)", e.Reason)
	}
	fmt.Fprintf(&b, "; valid: %s", e.Valid)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Reason }

// Refused returns the error of an option of table whose value passed its check and turned
// out to be wrong later, for example when a file was opened. err names the value.
func Refused(table []Option, key string, err error) error {
	for i := range table {
		if table[i].Key == key {
			return fmt.Errorf("%s: %w; valid: %s", key, err, table[i].Valid)
		}
	}
	return fmt.Errorf("%s: %w", key, err)
}

// shorten keeps a log line readable when somebody pastes a file into an option.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// values reads and checks every option of table. The map holds every key, with
// its default where get has nothing; the error joins all mistakes in table order.
func values(table []Option, get func(string) string) (map[string]string, error) {
	got := make(map[string]string, len(table))
	var errs []error
	for _, o := range table {
		v := strings.TrimSpace(get(o.Key))
		if v == "" {
			got[o.Key] = o.Default
			continue
		}
		got[o.Key] = v
		if o.check == nil {
			continue
		}
		if err := o.check(v); err != nil {
			bad := &Error{Key: o.Key, Value: v, Valid: o.Valid, Secret: o.Secret}
			if o.show != nil {
				bad.Value = o.show(v)
			}
			if !errors.Is(err, errNotValid) {
				bad.Reason = err
			}
			errs = append(errs, bad)
		}
	}
	return got, errors.Join(errs...)
}

// Errors returns the errors that err joins, at any depth, so that each can be logged on a
// line of its own. An error that joins nothing is its own list; nil gives nil.
func Errors(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, Errors(e)...)
	}
	return list
}
