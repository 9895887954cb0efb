package rule

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
)

// outcome is event.outcome as a rule sets it.
type outcome uint8

const (
	unset       outcome = iota // the rule leaves it open
	none                       // neither fields nor words are read
	fieldsAlone                // fields are read, words are not
	success
	failure
)

var outcomeConstants = [...]*ecs.Constant{
	none: nil, success: ecs.ConstText("success"), failure: ecs.ConstText("failure"),
}

// outcomeRules are those of outcome.yaml. Their phrases are in the automaton.
type outcomeRules struct {
	keys   []dict.Key // in the order in which they are read
	keySet dict.KeySet
	values map[string]outcome // of these keys, in lower case
}

// decideOutcome returns success, failure or none for what the rules set. Built-in rules go
// by words and ids, so a field that has an outcome overrules them.
func (rs *Rules) decideOutcome(set outcome, byUser bool, f *Facts, s *Scratch) outcome {
	if set == none || byUser && set >= success {
		return set
	}
	if o := rs.outcome.fromFields(f); o != none {
		return o
	}
	switch set {
	case unset:
		s.scan(rs, f)
		return s.outcome.result()
	case fieldsAlone:
		return none
	}
	return set
}

func (o *outcomeRules) fromFields(f *Facts) outcome {
	if !f.Pairs.AnyNonEmpty(&o.keySet) {
		return none
	}
	for _, k := range o.keys {
		if v := f.Pairs.Value(k); v != nil {
			if found := o.ofValue(v); found != none {
				return found
			}
		}
	}
	return none
}

// ofValue looks up a value, else what it has before a colon.
func (o *outcomeRules) ofValue(v []byte) outcome {
	var buf [maxValue + 1]byte
	v = lower(buf[:], v)
	if found, ok := o.values[string(v)]; ok {
		return found
	}
	if i := bytes.IndexByte(v, ':'); i > 0 {
		if found, ok := o.values[string(ascii.TrimRight(v[:i]))]; ok {
			return found
		}
	}
	return none
}

// outcomeRole is what a phrase in a message says about the outcome.
type outcomeRole uint8

const (
	roleFailure outcomeRole = 1 << iota
	roleSuccess
	roleIgnore   // removes the failures in it
	roleNegation // makes a success that follows at once a failure
	roleFuture   // makes a success that follows at once say nothing
)

// outcomeMatch is an outcome phrase.
type outcomeMatch struct {
	length int32 // in bytes read, boundaries included
	role   outcomeRole
}

// outcomeWords collects the outcome phrases of one message in the order of their ends.
type outcomeWords struct {
	success   bool
	failure   bool // more failures than starts holds
	starts    [8]int32
	n         int   // failures in starts, which a roleIgnore may still remove
	ignoreEnd int32 // ends of the last phrases of these roles, -1 for none
	negated   int32
	future    int32
}

func (w *outcomeWords) reset() {
	w.success, w.failure, w.n, w.ignoreEnd, w.negated, w.future = false, false, 0, -1, -1, -1
}

// result returns the outcome: failure before success.
func (w *outcomeWords) result() outcome {
	switch {
	case w.failure || w.n > 0:
		return failure
	case w.success:
		return success
	}
	return none
}

// add notes a phrase that ends at pos. Two phrases in a row share the boundary between
// them.
func (w *outcomeWords) add(m outcomeMatch, pos int32) {
	start := pos - m.length + 1
	if m.role&roleIgnore != 0 {
		w.ignoreEnd = pos
		for w.n > 0 && w.starts[w.n-1] >= start {
			w.n--
		}
	}
	if m.role&roleNegation != 0 {
		w.negated = pos
	}
	if m.role&roleFuture != 0 {
		w.future = pos
	}
	failed := m.role&roleFailure != 0
	if m.role&roleSuccess != 0 {
		switch start {
		case w.negated:
			failed = true
		case w.future:
		default:
			w.success = true
		}
	}
	if !failed || start < w.ignoreEnd {
		return
	}
	if w.n == len(w.starts) {
		w.failure = true
		return
	}
	w.starts[w.n] = start
	w.n++
}
