package main

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

const composeFile = "../docker-compose.yml"

var profiles = []string{"elasticsearch", "opensearch", "grafana", "graylog"}

// load reads the compose file with the library of Docker Compose itself: schema,
// references, variables and profiles.
func load(t *testing.T, profile string, env map[string]string) *types.Project {
	t.Helper()
	text, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: dir, Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "docker-compose.yml"), Content: text}},
	}, func(o *loader.Options) {
		o.Profiles = []string{profile}
		o.SetProjectName("fortiems", true)
	})
	if err != nil {
		t.Fatal(profile, err)
	}
	return p
}

// dummyEnv has a value for every secret.
func dummyEnv() map[string]string {
	env := map[string]string{}
	for _, s := range secrets {
		env[s] = "value-of-" + s
	}
	env[graylogHash] = "hash"
	return env
}

func TestComposeProfiles(t *testing.T) {
	want := map[string][]string{
		"elasticsearch": {"elasticsearch", "fluent-bit", "import", "kibana", "sender", "setup"},
		"opensearch":    {"opensearch", "opensearch-dashboards", "opensearch-fluent-bit", "opensearch-import", "opensearch-sender", "opensearch-setup"},
		"grafana":       {"elasticsearch", "fluent-bit", "grafana", "sender", "setup"},
		"graylog":       {"graylog", "graylog-fluent-bit", "graylog-opensearch", "graylog-sender", "graylog-setup", "mongodb"},
	}
	for _, profile := range profiles {
		names := load(t, profile, dummyEnv()).ServiceNames()
		slices.Sort(names)
		if !slices.Equal(names, want[profile]) {
			t.Errorf("%s starts %q, wants %q", profile, names, want[profile])
		}
	}
}

func TestEveryServiceHasLimitHealthCheckAndPin(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:\d+\.\d+\.\d+$`)
	published := map[string]string{}
	for _, profile := range profiles {
		p := load(t, profile, dummyEnv())
		oneShot := map[string]bool{}
		for _, s := range p.Services {
			for name, d := range s.DependsOn {
				if d.Condition == types.ServiceConditionCompletedSuccessfully {
					oneShot[name] = true
				}
			}
		}
		for name, s := range p.Services {
			if !pinned.MatchString(s.Image) {
				t.Errorf("%s: image %q has no full version", name, s.Image)
			}
			if s.MemLimit == 0 {
				t.Errorf("%s has no memory limit", name)
			}
			if (s.HealthCheck == nil) != oneShot[name] {
				t.Errorf("%s: health check %v, one-shot %v", name, s.HealthCheck != nil, oneShot[name])
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" {
					t.Errorf("%s publishes %s on %q", name, port.Published, port.HostIP)
				}
				key := profile + " " + port.Published
				if other := published[key]; other != "" {
					t.Errorf("%s and %s publish %s", name, other, port.Published)
				}
				published[key] = name
			}
		}
	}
}

func TestImagesAgreeWithTheProject(t *testing.T) {
	dockerfile, err := os.ReadFile("../../build/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	base := regexp.MustCompile(`(?m)^FROM (\S+fluent-bit:\S+)$`).FindStringSubmatch(string(dockerfile))
	if base == nil {
		t.Fatal("no Fluent Bit image in the Dockerfile")
	}
	versions := map[string]map[string]bool{}
	for _, profile := range profiles {
		for name, s := range load(t, profile, dummyEnv()).Services {
			if strings.Contains(s.Image, "fluent-bit") && s.Image != base[1] {
				t.Errorf("%s: %s, the Dockerfile has %s", name, s.Image, base[1])
			}
			repo, version, _ := strings.Cut(s.Image, ":")
			vendor := regexp.MustCompile(`elastic\.co|opensearchproject|grafana|fluent-bit|graylog|mongo`).FindString(repo)
			if versions[vendor] == nil {
				versions[vendor] = map[string]bool{}
			}
			versions[vendor][version] = true
		}
	}
	for vendor, v := range versions {
		if len(v) != 1 {
			t.Errorf("%s comes in versions %v", vendor, v)
		}
	}
	for vendor, pom := range map[string]string{"opensearchproject": "../servers/opensearch/pom.xml", "graylog": "../dashboards/graylog/pom.xml"} {
		tested, err := os.ReadFile(pom)
		if err != nil {
			t.Fatal(err)
		}
		for v := range versions[vendor] {
			if !strings.Contains(string(tested), "<version>"+v+"</version>") {
				t.Errorf("%s: other tests run another version than %s", vendor, v)
			}
		}
	}
}

// TestMountsExist checks that everything mounted into a container exists, or is created
// by the target stack-files.
func TestMountsExist(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	made := t.TempDir()
	if err := runEnv(context.Background(), []string{"-file", filepath.Join(made, ".env"), "-dir", filepath.Join(made, "stack")}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"$(STACK)/bin/stack ./test/stack", "cp $(FORTIEMS) $(STACK)/bin/fortiems", "cp -P $(OBJECT) $(OUT)/out_fortiems_es.so $(STACK)/plugins/", "$(STACK)/bin/stack env -file test/.env -dir $(STACK)"} {
		if !strings.Contains(string(makefile), want) {
			t.Errorf("the Makefile lacks %q", want)
		}
	}
	byMake := []string{"bin/stack", "bin/fortiems", "plugins"}
	for _, profile := range profiles {
		for name, s := range load(t, profile, dummyEnv()).Services {
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeBind {
					continue
				}
				rel, err := filepath.Rel(root, v.Source)
				if err != nil || strings.HasPrefix(rel, "..") {
					t.Errorf("%s mounts %s from outside the project", name, v.Source)
				}
				if !v.ReadOnly && rel != "build/out/stack/buffer" {
					t.Errorf("%s may write to %s", name, rel)
				}
				source := v.Source
				if in, ok := strings.CutPrefix(rel, "build/out/stack/"); ok {
					if slices.Contains(byMake, in) {
						continue
					}
					source = filepath.Join(made, "stack", in)
				}
				if _, err := os.Stat(source); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, arg := range slices.Concat(s.Entrypoint, s.Command) {
				if strings.HasPrefix(arg, "/") && !mounted(s, arg) {
					t.Errorf("%s: %s is in no mount", name, arg)
				}
			}
		}
	}
}

// mounted reports whether path lies in a mount of s and, if the mount is a file or folder
// of the project, exists.
func mounted(s types.ServiceConfig, path string) bool {
	for _, v := range s.Volumes {
		if rest, ok := strings.CutPrefix(path, v.Target); ok && (rest == "" || rest[0] == '/') {
			if strings.Contains(v.Source, "build/out") {
				return true // created later
			}
			_, err := os.Stat(v.Source + rest)
			return err == nil
		}
	}
	return false
}

func TestNoSecretInTheOpen(t *testing.T) {
	env := map[string]string{}
	for _, s := range secrets {
		env[s] = "generated-" + strconv.Itoa(len(s)) + s
	}
	env[graylogHash] = "hash"
	secret := regexp.MustCompile(`(?i)(password|key|token|secret)$`)
	used := map[string]bool{}
	for _, profile := range profiles {
		for name, s := range load(t, profile, env).Services {
			for k, v := range s.Environment {
				if v == nil {
					t.Errorf("%s takes %s from the caller's environment", name, k)
					continue
				}
				for _, e := range secrets {
					used[e] = used[e] || *v == env[e]
				}
				if secret.MatchString(k) && !strings.HasPrefix(*v, "generated-") {
					t.Errorf("%s: %s is written in the file", name, k)
				}
			}
		}
	}
	for _, s := range secrets {
		if !used[s] {
			t.Errorf("no service uses %s", s)
		}
	}
	// Without .env no service starts with an empty password.
	text, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\$\{([^}]*)\}`).FindAllStringSubmatch(string(text), -1) {
		if !strings.HasSuffix(m[1], ":?run make stack") {
			t.Errorf("%s has no check", m[0])
		}
	}
}

// collectorFile is a configuration of Fluent Bit.
type collectorFile struct {
	Service  map[string]any
	Pipeline struct {
		Inputs, Filters, Outputs []map[string]any
	}
}

func readCollector(t *testing.T, file string) (c collectorFile) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(file, err)
	}
	return c
}

// TestCollectorConfiguration compares the collector's files with the compose file and
// with the configurations in conf/.
func TestCollectorConfiguration(t *testing.T) {
	shipped := readCollector(t, "../../conf/fluent-bit-tls.yaml")
	graylog := readCollector(t, "../../conf/topologies/graylog-gelf.yaml")
	if ours := readCollector(t, "fluent-bit-graylog.yaml"); !reflect.DeepEqual(ours.Pipeline.Filters, graylog.Pipeline.Filters) || !reflect.DeepEqual(ours.Pipeline.Outputs, graylog.Pipeline.Outputs) {
		t.Errorf("filters or outputs for Graylog are not those of conf/topologies: %v", ours.Pipeline)
	}
	for _, profile := range profiles {
		for name, s := range load(t, profile, dummyEnv()).Services {
			if !strings.HasSuffix(name, "fluent-bit") {
				continue
			}
			for _, v := range s.Volumes {
				if v.Target == "/conf/fluent-bit.yaml" {
					checkCollector(t, name, s, readCollector(t, v.Source), shipped)
				}
			}
		}
	}
}

// checkCollector compares the service that runs the configuration ours with it.
func checkCollector(t *testing.T, name string, s types.ServiceConfig, ours, shipped collectorFile) {
	t.Helper()
	for _, key := range []string{"grace", "coro_stack_size", "flush"} {
		if ours.Service[key] != shipped.Service[key] {
			t.Errorf("%s: %s is %v, in conf/ %v", name, key, ours.Service[key], shipped.Service[key])
		}
	}
	in, theirs := ours.Pipeline.Inputs[0], shipped.Pipeline.Inputs[0]
	for _, key := range []string{"name", "tag", "mode", "port", "parser", "buffer_chunk_size", "buffer_max_size", "tls", "tls.verify"} {
		if in[key] != theirs[key] {
			t.Errorf("%s: input: %s is %v, in conf/ %v", name, key, in[key], theirs[key])
		}
	}
	grace := time.Duration(ours.Service["grace"].(int)) * time.Second
	if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) <= grace {
		t.Errorf("%s: stop_grace_period %v is not more than grace %v", name, s.StopGracePeriod, grace)
	}
	if len(s.Ports) != 1 || int(s.Ports[0].Target) != in["port"] {
		t.Errorf("%s publishes %v, listens on %v", name, s.Ports, in["port"])
	}
	for _, key := range []string{"tls.crt_file", "tls.key_file"} {
		if !mounted(s, in[key].(string)) {
			t.Errorf("%s: %s is not mounted", name, in[key])
		}
	}
	if !mounted(s, ours.Service["parsers_file"].(string)) || !mounted(s, ours.Service["storage.path"].(string)) {
		t.Errorf("%s: parsers_file or storage.path is not mounted", name)
	}
	for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(strings.Join(outputValues(ours.Pipeline.Outputs), " "), -1) {
		if _, ok := s.Environment[m[1]]; !ok {
			t.Errorf("%s has no %s", name, m[1])
		}
	}
}

func outputValues(outputs []map[string]any) (values []string) {
	for _, o := range outputs {
		for _, v := range o {
			if s, ok := v.(string); ok {
				values = append(values, s)
			}
		}
	}
	return values
}
