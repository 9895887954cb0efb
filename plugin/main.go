// Command plugin is the shared object of fluent-bit-fortiems, built with
// -buildmode=c-shared. The host loads one file under two names:
//
//	flb-filter_fortiems.so  the native filter fortiems     (filter.c, filter.go)
//	out_fortiems_es.so      the Go proxy output fortiems_es (output.c, output.go)
//
// The second is a link to the first, so both share one Go runtime.
//
// Only this package uses C. Its exported functions look up an instance, call one
// function that knows no C and map the result to a return code. They never panic:
// a panic would end the whole agent.
package main

/*
#cgo CFLAGS: -std=c11 -Wall -Wextra
#cgo LDFLAGS: -ldl
#include "abi.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"runtime/debug"
	"strings"
	"time"
	"unsafe"

	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// version is set by the linker: -X main.version=1.2.3.
var version string

// logInterval is the least time between two lines of one kind of repeated error.
const logInterval = time.Minute

// main is never called; c-shared wants it.
func main() {}

// buildVersion returns the version for logs: of the linker, else of the module, else dev.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

// hostWrite is the hostlog.Writer of the host's own logger.
func hostWrite(level hostlog.Level, line string) {
	if line == "" {
		return
	}
	// Go owns the bytes of line; C reads them during the call only. Their number goes
	// with them, so no copy with a NUL is needed.
	C.ftnt_log(C.int(level), (*C.char)(unsafe.Pointer(unsafe.StringData(line))), C.size_t(len(line)))
}

// hostLevel returns the level that a host's instance has. It is negative if none is
// configured; the host's own default is info.
func hostLevel(level int) hostlog.Level {
	if level < 0 {
		return hostlog.Info
	}
	return hostlog.Level(level)
}

// orphan logs what belongs to no instance. No level is configured for it, so it logs
// errors only.
var orphan = hostlog.New("plugin", "fortiems", "-", hostlog.Error, logInterval, hostWrite)

// start starts an instance and returns its handle, which the host keeps as the context of
// the instance. Handles are never reused. It returns 0 if the instance refuses to start; log
// has then said why.
func start[T any](log *hostlog.Logger, instance func() (T, error)) (handle cgo.Handle) {
	defer func() {
		if v := recover(); v != nil {
			handle = 0
			log.Printf(hostlog.Error, "start failed: %s", panicText(v))
		}
	}()
	v, err := instance()
	if err != nil {
		for _, e := range option.Errors(err) {
			log.Printf(hostlog.Error, "%v", e)
		}
		return 0
	}
	return cgo.NewHandle(v)
}

// take returns the instance of a handle and ends the handle. It panics if there is none.
func take[T any](handle C.uintptr_t) T {
	v := cgo.Handle(handle).Value().(T)
	cgo.Handle(handle).Delete()
	return v
}

// panicText describes a recovered panic without its data: a message of the runtime holds
// indexes at most, but the value of an explicit panic could hold a log line. Call it from
// the deferred function itself.
func panicText(value any) string {
	what := fmt.Sprintf("panic of type %T", value)
	if err, ok := value.(runtime.Error); ok {
		what = err.Error()
	}
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") && !strings.HasPrefix(f.Function, "main.") {
			return fmt.Sprintf("%s in %s, line %d", what, f.Function, f.Line)
		}
		if !more {
			return what
		}
	}
}
