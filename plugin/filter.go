package main

/*
#cgo nocallback ftnt_alloc
#include <stdlib.h>
#include "abi.h"
*/
import "C"

import (
	"math"
	"runtime/cgo"
	"time"
	"unsafe"

	"fluent-bit-fortiems/plugin/hostlog"
)

// ftntFilterInit starts an instance and returns its handle, 0 if it refuses
// to start; it has then said why. name is the host's until the call returns.
//
//export ftntFilterInit
func ftntFilterInit(ins unsafe.Pointer, name *C.char, level C.int) C.uintptr_t {
	instance := C.GoString(name)
	log := hostlog.New("filter", "fortiems", instance, hostLevel(int(level)), logInterval, hostWrite)
	return C.uintptr_t(start(log, func() (*filter, error) {
		return newFilter(instance, func(key string) string { return filterProperty(ins, key) }, log)
	}))
}

// ftntFilterRun filters the n bytes at data, which are the host's and valid
// during the call. With FTNT_FILTER_MODIFIED, *out is memory of the C allocator
// that the host now owns, or nil with size 0 when every record is dropped. In
// every other case the host keeps its bytes as they are.
//
//export ftntFilterRun
func ftntFilterRun(handle C.uintptr_t, data unsafe.Pointer, n C.size_t, out *unsafe.Pointer, outSize *C.size_t) (result C.int) {
	var f *filter
	var block unsafe.Pointer // of the C allocator; this call owns it until the host does
	defer func() {
		C.free(block)
		if v := recover(); v != nil {
			result = C.FTNT_FILTER_NOTOUCH
			f.panicked(panicText(v), time.Now())
		}
	}()
	f = cgo.Handle(handle).Value().(*filter)
	if data == nil || n == 0 || uint64(n) > math.MaxInt || out == nil || outSize == nil {
		return C.FTNT_FILTER_NOTOUCH
	}
	chunk := unsafe.Slice((*byte)(data), int(n)) // the host's, read only
	room := f.room(len(chunk))
	if block = C.ftnt_alloc(C.size_t(room)); block == nil {
		f.outOfMemory(room, time.Now())
		return C.FTNT_FILTER_NOTOUCH
	}
	// enrich appends to block and never writes beyond room bytes: a larger result moves
	// to memory of Go, as with every append.
	records, verdict := f.run(unsafe.Slice((*byte)(block), room)[:0], chunk)
	switch verdict {
	case dropped:
		*out, *outSize = nil, 0
		return C.FTNT_FILTER_MODIFIED
	case modified:
		if unsafe.Pointer(unsafe.SliceData(records)) != block { // in memory of Go, they need more than room
			larger := C.ftnt_alloc(C.size_t(len(records)))
			if larger == nil {
				f.outOfMemory(len(records), time.Now())
				return C.FTNT_FILTER_NOTOUCH
			}
			copy(unsafe.Slice((*byte)(larger), len(records)), records)
			C.free(block)
			block = larger
		}
		*out, *outSize, block = block, C.size_t(len(records)), nil // the host owns it from here
		return C.FTNT_FILTER_MODIFIED
	}
	return C.FTNT_FILTER_NOTOUCH
}

// ftntFilterExit ends an instance and logs what it did.
//
//export ftntFilterExit
func ftntFilterExit(handle C.uintptr_t) {
	var f *filter
	defer func() {
		if v := recover(); v != nil {
			f.panicked(panicText(v), time.Now())
		}
	}()
	f = take[*filter](handle)
	f.close()
}

// filterProperty reads one option of an instance of the host, "" if it is unset.
func filterProperty(ins unsafe.Pointer, key string) string {
	ckey := C.CString(key)
	defer C.free(unsafe.Pointer(ckey))
	return C.GoString(C.ftnt_filter_property(ins, ckey)) // nil gives ""
}
