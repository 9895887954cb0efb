package main

/*
#include "abi.h"
*/
import "C"

import (
	"math"
	"runtime/cgo"
	"time"
	"unsafe"

	"github.com/fluent/fluent-bit-go/output"

	"fluent-bit-fortiems/plugin/hostlog"
)

const (
	outputName        = "fortiems_es"
	outputDescription = "Ship records to Elasticsearch or OpenSearch, nothing lost, nothing twice"
)

// FLBPluginRegister names the output to the host. def is the host's.
//
//export FLBPluginRegister
func FLBPluginRegister(def unsafe.Pointer) C.int {
	if def == nil {
		return -1
	}
	return C.int(output.FLBPluginRegister(def, outputName, outputDescription))
}

// FLBPluginUnregister frees the two texts that FLBPluginRegister put into def.
//
//export FLBPluginUnregister
func FLBPluginUnregister(def unsafe.Pointer) {
	if def != nil {
		output.FLBPluginUnregister(def)
	}
}

// ftntOutputInit starts an instance, or refuses to and logs why. plugin is the
// proxy's struct flbgo_output_plugin.
//
//export ftntOutputInit
func ftntOutputInit(plugin unsafe.Pointer) C.int {
	ins := C.ftnt_output_instance(plugin)
	name := outputInstanceName(ins)
	log := hostlog.New("output", outputName, name, hostLevel(int(C.ftnt_output_level(ins))), logInterval, hostWrite)
	handle := start(log, func() (*outputInstance, error) {
		return newOutputInstance(name, func(key string) string { return output.FLBPluginConfigKey(plugin, key) }, log)
	})
	if handle == 0 {
		return C.int(output.FLB_ERROR)
	}
	C.ftnt_output_set_context(plugin, C.uintptr_t(handle))
	return C.int(output.FLB_OK)
}

// ftntOutputFlush delivers the chunk of n bytes at data, which are the host's and
// valid during the call, as is tag. It runs on a coroutine of the host with a small
// stack, so the work is done on a goroutine that it waits for.
//
//export ftntOutputFlush
func ftntOutputFlush(handle C.uintptr_t, data unsafe.Pointer, n C.size_t, tag *C.char) (result C.int) {
	var o *outputInstance
	defer func() {
		if v := recover(); v != nil {
			result = C.int(output.FLB_RETRY)
			o.panicked(panicText(v), time.Now())
		}
	}()
	o = cgo.Handle(handle).Value().(*outputInstance)
	if data == nil || uint64(n) > math.MaxInt {
		return C.int(output.FLB_RETRY)
	}
	if o.flush(C.GoString(tag), unsafe.Slice((*byte)(data), int(n))) {
		return C.int(output.FLB_OK)
	}
	return C.int(output.FLB_RETRY)
}

// ftntOutputExit ends an instance: running flushes hand their chunks back.
//
//export ftntOutputExit
func ftntOutputExit(handle C.uintptr_t) (result C.int) {
	var o *outputInstance
	defer func() {
		if v := recover(); v != nil {
			o.panicked(panicText(v), time.Now())
			result = C.int(output.FLB_OK)
		}
	}()
	o = take[*outputInstance](handle)
	o.close()
	return C.int(output.FLB_OK)
}

// outputInstanceName is the host's name of an output instance.
func outputInstanceName(ins unsafe.Pointer) string {
	name := C.ftnt_output_name(ins)
	if name == nil {
		return outputName
	}
	return C.GoString(name)
}
