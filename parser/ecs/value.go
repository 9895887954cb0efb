package ecs

import (
	"strings"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/line"
)

// Kind is how a [Value] is stored.
type Kind uint8

// The kinds of value.
const (
	Text  Kind = iota // Value.Text, valid UTF-8
	Int               // Value.Num
	Float             // math.Float64frombits(uint64(Value.Num))
	List              // Record.Lists[Value.Num], each valid UTF-8
	Const             // Value.Const, a text or a list of texts that never changes
	SData             // RFC 5424 structured data in Value.Text, see line.EachSD
)

// Value is the value of one field. Only the member that Kind names is valid; the others
// are left over from an earlier line. Text points into the line or an arena.
type Value struct {
	Kind  Kind
	Num   int64
	Text  []byte
	Const *Constant
}

// Constant is a value that never changes: a text, or a list of texts. It is shared by all
// records and must not be changed.
type Constant struct {
	Texts  []string
	IsList bool
	// Packed is the value as MessagePack in nested records. PackedFlat is that in flat
	// records, where a list is one text joined by commas.
	Packed, PackedFlat []byte
}

// ConstText returns a constant text.
func ConstText(s string) *Constant {
	packed := msgp.AppendString(nil, s)
	return &Constant{Texts: []string{s}, Packed: packed, PackedFlat: packed}
}

// ConstList returns a constant list.
func ConstList(texts []string) *Constant {
	packed := msgp.AppendArrayHeader(nil, uint32(len(texts)))
	for _, s := range texts {
		packed = msgp.AppendString(packed, s)
	}
	flat := msgp.AppendString(nil, strings.Join(texts, ","))
	return &Constant{Texts: texts, IsList: true, Packed: packed, PackedFlat: flat}
}

// Record holds the fields of one event. The zero value is ready; Reset it for each line.
// Texts that are set must be valid UTF-8 and stay unchanged until the record is written.
// Not safe for concurrent use.
type Record struct {
	Set    FieldSet           // the fields that have a value
	Values [NumFields]Value   // by field
	Lists  [numLists][][]byte // values of the fields of kind List

	arena *arena.Arena // memory of derived values

	// What conversions look at, set by Fill.
	pairs  *line.Pairs
	source dict.Source
	id     []byte // log id
}

// Reset removes all fields. Derived values will be kept in a.
func (r *Record) Reset(a *arena.Arena) {
	r.Set = FieldSet{}
	for i := range r.Lists {
		r.Lists[i] = r.Lists[i][:0]
	}
	r.arena = a
}

// SetText sets a field to a text.
func (r *Record) SetText(f Field, v []byte) {
	r.Values[f].Kind, r.Values[f].Text = Text, v
	r.Set.Add(f)
}

// SetInt sets a field to an integer.
func (r *Record) SetInt(f Field, n int64) {
	r.Values[f].Kind, r.Values[f].Num = Int, n
	r.Set.Add(f)
}

// SetConst sets a field to a constant.
func (r *Record) SetConst(f Field, c *Constant) {
	r.Values[f].Kind, r.Values[f].Const = Const, c
	r.Set.Add(f)
}

// Text returns the text of a field that has one, or nil.
func (r *Record) Text(f Field) []byte {
	if !r.Set.Has(f) {
		return nil
	}
	return r.Values[f].Text
}

// setNonEmpty is SetText unless v is empty.
func (r *Record) setNonEmpty(f Field, v []byte) {
	if len(v) > 0 {
		r.SetText(f, v)
	}
}

// setIfUnset sets f to v if it has no value, and reports whether f now holds v.
func (r *Record) setIfUnset(f Field, v []byte) bool {
	if !r.Set.Has(f) {
		r.SetText(f, v)
		return true
	}
	switch have := &r.Values[f]; have.Kind {
	case Text:
		return string(have.Text) == string(v)
	case Const:
		return !have.Const.IsList && have.Const.Texts[0] == string(v)
	}
	return false
}

// setConstIfUnset is setIfUnset for a constant text.
func (r *Record) setConstIfUnset(f Field, c *Constant) bool {
	if !r.Set.Has(f) {
		r.SetConst(f, c)
		return true
	}
	return r.setIfUnset(f, []byte(c.Texts[0]))
}

// setIntIfUnset is setIfUnset for an integer.
func (r *Record) setIntIfUnset(f Field, n int64) bool {
	if !r.Set.Has(f) {
		r.SetInt(f, n)
		return true
	}
	return r.Values[f].Kind == Int && r.Values[f].Num == n
}

// The lists of a record. Value.Num holds the index.
const (
	listHostIP = iota
	listHostMAC
	listVulnCategory
	listRelatedIP
	listRelatedHosts
	listRelatedUser
	listRelatedHash

	numLists
)

// maxList is the most values that a list field takes; a longer list stays text.
const maxList = 64

// addToList adds v to the list of a field unless it is there already. maxList bounds the
// lists, so this stays linear in the line.
func (r *Record) addToList(f Field, list int, v []byte) {
	l := r.Lists[list]
	if !r.Set.Has(f) {
		r.Values[f].Kind, r.Values[f].Num = List, int64(list)
		r.Set.Add(f)
	}
	for _, have := range l {
		if string(have) == string(v) {
			return
		}
	}
	r.Lists[list] = append(l, v)
}
