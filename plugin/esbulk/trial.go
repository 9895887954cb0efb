package esbulk

// trial is a document that fails while others get through. It is kept over the tries of
// its chunk.
type trial struct {
	through uint64 // documents that the instance had stored when it failed
	tries   int    // hand-backs since which others got through
}

// maxTries is how often a document is handed back because of 5xx, while others get through,
// before it becomes a dead letter. With the pauses of Fluent Bit this takes hours.
const maxTries = 10

// maxTrials bounds the documents of a chunk that are watched.
const maxTrials = 1000

// trials are the documents on trial by their position in a chunk.
type trials map[int]*trial

// of returns the trial of a document and whether it has begun before; nil if there are too
// many.
func (t *trials) of(position int, through uint64) (_ *trial, old bool) {
	if known, ok := (*t)[position]; ok {
		return known, true
	}
	if len(*t) >= maxTrials {
		return nil, false
	}
	if *t == nil {
		*t = trials{}
	}
	begun := &trial{through: through}
	(*t)[position] = begun
	return begun, false
}
