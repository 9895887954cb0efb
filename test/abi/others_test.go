package abi_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/fakees"
)

// TestRealOptionsOfOthers types options of Fluent Bit's es for our output. The host hands
// most of them over, and they are refused. It keeps some to itself, so that they cannot be
// seen, and refuses tls on for every Go output. If a new version hands over more, this test
// fails and plugin/README.md has to say so.
func TestRealOptionsOfOthers(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		link, err := filepath.Abs(outputLink)
		if err != nil {
			t.Fatal(err)
		}
		run := func(options string) *process {
			config := fmt.Sprintf("service: {flush: 0.2, grace: 1, log_level: info, coro_stack_size: 131072}\npipeline:\n  inputs: [%s]\n  outputs: [{name: fortiems_es, match: '*', retry_limit: 1, bootstrap: off, %s}]\n",
				tail("a", file(t, line(t)+"\n")), options)
			return fb.start(t, config, "-e", link).wait(t)
		}
		for option, want := range map[string]string{
			"http_user: x": "use username", "http_passwd: x": "use password", "logstash_format: on": "use index", "path: /x": "use hosts",
			"type: _doc": "leave it out", "suppress_type_name: on": "leave it out", "aws_auth: off": "use a proxy that signs",
		} {
			key, _, _ := strings.Cut(option, ":")
			p := run(option).wantLog(t, "[error] [output:fortiems_es:fortiems_es.0] "+key+": it is an option of other outputs; "+want)
			if p.code == 0 {
				t.Errorf("%s: the start goes on", option)
			}
		}
		if p := run("tls: on").wantLog(t, "fortiems_es.0 does not support TLS"); p.code == 0 {
			t.Error("tls on: the start goes on")
		}
		es := fakees.New()
		defer es.Close()
		const kept = "host: es.invalid, port: 9300, ipv6: on, tls: off, tls.verify: off, tls.vhost: x, tls.ca_file: /nonexistent, tls.crt_file: /nonexistent, tls.key_file: /nonexistent, net.keepalive: off"
		p := run(kept+", hosts: '"+es.URL+"'").wantCode(t, 0).wantLog(t, "1 stored")
		if strings.Contains(p.log.String(), "option of other outputs") || len(es.Stored(dataStream)) != 1 {
			t.Errorf("the host hands over one of %s, or the document is not stored:\n%s", kept, p.log.String())
		}
		// Without hosts a line says so, unless something answers at the default address.
		p = run("host: es.invalid, port: 9300")
		if !strings.Contains(p.log.String(), "connected to ") {
			p.wantLog(t, "this is the default of hosts: options host and port have no effect here")
		}
	})
}
