package esbulk

import (
	"container/list"
	"sync"
)

// Bounds of deliveredDocs: chunks, and words of their positions (8 MB).
const (
	maxChunks = 4096
	maxWords  = 1 << 20
)

// deliveredDocs keeps which documents of a chunk are done until the chunk comes again.
// Ids alone would not do on a data stream: after a rollover the same id can be stored
// once more. The oldest chunks are forgotten first. Safe for concurrent use.
type deliveredDocs struct {
	mu     sync.Mutex
	chunks map[chunkID]*list.Element
	age    list.List // of *remembered, the oldest in front
	words  int
}

type remembered struct {
	id   chunkID
	done *positions
}

// take returns what is done of a chunk and forgets it; nil when nothing is known.
// A flush owns what it took.
func (m *deliveredDocs) take(id chunkID) *positions {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.chunks[id]
	if !ok {
		return nil
	}
	return m.remove(e).done
}

// put remembers what is done of a chunk and takes over done.
func (m *deliveredDocs) put(id chunkID, done *positions) {
	if done == nil || done.n == 0 && len(done.trials) == 0 && !done.busy {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.chunks[id]; ok { // another flush of an equal chunk
		done.merge(m.remove(e).done)
	}
	if m.chunks == nil {
		m.chunks = make(map[chunkID]*list.Element)
	}
	m.chunks[id] = m.age.PushBack(&remembered{id, done})
	m.words += done.words()
	for m.age.Len() > 1 && (m.age.Len() > maxChunks || m.words > maxWords) {
		m.remove(m.age.Front())
	}
}

func (m *deliveredDocs) remove(e *list.Element) *remembered {
	r := m.age.Remove(e).(*remembered)
	delete(m.chunks, r.id)
	m.words -= r.done.words()
	return r
}

// words is the memory of a set, about.
func (p *positions) words() int { return len(p.bits) + 8*len(p.trials) }
