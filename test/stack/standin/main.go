// Command standin is what runs in the images that the tests of the stack build in place of
// the official ones, which they cannot pull. Its name there says what it is.
//
//	opensearch     the real OpenSearch of the image, as its official start script would start it
//	elasticsearch  the same OpenSearch behind the parts of Elasticsearch that the stack uses:
//	               accounts, roles, lifecycle policies, the names of field types
//	kibana         what the stack asks Kibana or OpenSearch Dashboards: status, import of saved objects
//	grafana        what the stack asks Grafana: provisioned data sources and dashboards, health
//	graylog        what the stack asks Graylog, and an input for GELF
//	mongo          the answer of MongoDB to HTTP
//
// It shows that files, names, accounts and orders of start fit. It does not show how the
// official images behave.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: standin opensearch|elasticsearch|kibana|grafana|graylog|mongo"))
	}
	var err error
	switch os.Args[1] {
	case "opensearch":
		cmd := search("/usr/share/opensearch", os.Getenv("OPENSEARCH_JAVA_OPTS"), settings()...)
		err = syscall.Exec(cmd.Path, cmd.Args, os.Environ())
	case "elasticsearch":
		err = elasticsearch()
	case "kibana":
		err = kibana()
	case "grafana":
		err = grafana()
	case "graylog":
		err = graylog()
	case "mongo":
		err = mongo()
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

// settings are those that the official image takes from variables with a dot in their name,
// and from DISABLE_SECURITY_PLUGIN.
func settings() (list []string) {
	if os.Getenv("DISABLE_SECURITY_PLUGIN") != "true" {
		return nil // all in opensearch.yml
	}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.Contains(name, ".") {
			list = append(list, v)
		}
	}
	return append(list, "network.host=0.0.0.0", "plugins.security.disabled=true")
}

// search returns the command that starts the OpenSearch of the folder home.
func search(home, options string, settings ...string) *exec.Cmd {
	args := strings.Fields(options)
	args = append(args, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.formatMsgNoLookups=true",
		"-Dlog4j.configurationFile=/standin/log4j2.properties",
		"-cp", "/standin:/standin/lib/*", "OpenSearch", home)
	cmd := exec.Command("/usr/lib/jvm/java/bin/java", append(args, settings...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}
