package main

import "sync"

// table maps the handles that C keeps to Go values. Handles start at 1 and are
// never reused, so a stale one finds nothing. The zero table is ready; all methods are
// safe for concurrent use.
type table[T any] struct {
	mu   sync.RWMutex
	last uintptr
	rows map[uintptr]T
}

func (t *table[T]) put(v T) uintptr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		t.rows = make(map[uintptr]T)
	}
	t.last++
	t.rows[t.last] = v
	return t.last
}

func (t *table[T]) get(handle uintptr) (T, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.rows[handle]
	return v, ok
}

func (t *table[T]) take(handle uintptr) (T, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.rows[handle]
	delete(t.rows, handle)
	return v, ok
}
