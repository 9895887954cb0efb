// Command plugin is the shared object of fluent-bit-fortiems, built with
// -buildmode=c-shared. The host loads one file under two names:
//
//	flb-filter_fortiems.so  the native filter fortiems     (filter.c, filter.go)
//	out_fortiems_es.so      the Go proxy output fortiems_es (output.c, output.go)
//
// The second is a link to the first, so both share one Go runtime.
//
// This package is the only door to C. Its exported functions look up an instance,
// call one pure function and map the result to a return code. They never panic:
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
	"runtime/debug"
	"strings"
	"time"
	"unsafe"

	"fluent-bit-fortiems/plugin/hostlog"
)

// version is set by the linker: -X main.version=1.2.3.
var version string

// logInterval is how often one kind of repeated trouble gets a line.
const logInterval = time.Minute

// main is never called; c-shared wants it.
func main() {}

// buildVersion is the version for logs: of the linker, else of the module, else dev.
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
	// C reads the bytes of line during the call only; the length goes with them,
	// so no terminated copy is needed.
	C.ftnt_log(C.int(level), (*C.char)(unsafe.Pointer(unsafe.StringData(line))), C.size_t(len(line)))
}

// hostLevel turns the level in a host's instance into ours. The host leaves it
// negative when nobody set one; its own default is info.
func hostLevel(level int) hostlog.Level {
	if level < 0 {
		return hostlog.Info
	}
	return hostlog.Level(level)
}

// orphan logs what belongs to no instance. It has no host level to respect, so
// it is kept for errors.
var orphan = hostlog.New("plugin", "fortiems", "-", hostlog.Error, logInterval, hostWrite)

// panicText describes a recovered panic without its data: a message of the
// runtime holds at most indexes, but the value of an explicit panic could hold a
// log line. Call it from the deferred function itself.
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
