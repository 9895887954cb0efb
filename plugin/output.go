package main

/*
#include "abi.h"
*/
import "C"

import (
	"unsafe"

	"github.com/fluent/fluent-bit-go/output"

	"fluent-bit-fortiems/plugin/hostlog"
)

const (
	outputName        = "fortiems_es"
	outputDescription = "Ship records to Elasticsearch or OpenSearch"
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

// ftntOutputInit refuses to start: this version has no shipping, and an
// output that takes records and does not deliver them would lose them.
//
//export ftntOutputInit
func ftntOutputInit(plugin unsafe.Pointer) (result C.int) {
	log := hostlog.New("output", outputName, outputInstance(plugin), hostlog.Error, logInterval, hostWrite)
	defer func() {
		if v := recover(); v != nil {
			result = C.int(output.FLB_ERROR)
			log.Printf(hostlog.Error, "start failed: %s", panicText(v))
		}
	}()
	log.Printf(hostlog.Error, "shipping to Elasticsearch and OpenSearch is not available in version %s; remove this output", buildVersion())
	return C.int(output.FLB_ERROR)
}

// ftntOutputFlush hands every chunk back: there is no instance that could
// deliver it.
//
//export ftntOutputFlush
func ftntOutputFlush(context, data unsafe.Pointer, length C.size_t, tag *C.char) C.int {
	return C.int(output.FLB_RETRY)
}

// ftntOutputExit ends an instance; there is none to end.
//
//export ftntOutputExit
func ftntOutputExit(context unsafe.Pointer) C.int {
	return C.int(output.FLB_OK)
}

// outputInstance is the host's name of the instance. plugin is the proxy's struct
// flbgo_output_plugin, whose third pointer is the instance.
func outputInstance(plugin unsafe.Pointer) string {
	name := C.ftnt_output_name(C.ftnt_output_instance(plugin))
	if name == nil {
		return outputName
	}
	return C.GoString(name)
}
