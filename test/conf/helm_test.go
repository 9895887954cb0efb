package conf

import (
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/test/rig"
)

// chartValues are the values of the chart fluent/fluent-bit 0.58.1 that the topology uses.
// Helm ignores a value that no template reads, so a wrong name would go unnoticed.
var chartValues = []string{
	"args", "command", "config.customParsers", "config.filters", "config.inputs", "config.outputs", "config.service",
	"env", "extraPorts", "extraVolumeMounts", "extraVolumes", "image.pullPolicy", "image.repository", "image.tag", "kind",
	"podSecurityContext", "rbac.create", "replicaCount", "resources", "securityContext", "service.loadBalancerSourceRanges",
	"service.type", "terminationGracePeriodSeconds",
}

// TestKubernetesValuesHaveNamesOfTheChart compares the names in the topology with those of
// the chart.
func TestKubernetesValuesHaveNamesOfTheChart(t *testing.T) {
	text, err := os.ReadFile(topologies + "kubernetes-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, v := range values {
		group, ok := v.(map[string]any)
		if !ok || !slices.Contains([]string{"config", "image", "rbac", "service"}, name) {
			names = append(names, name)
			continue
		}
		for part := range maps.Keys(group) {
			names = append(names, name+"."+part)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, chartValues) {
		t.Errorf("the topology sets %q, the chart reads %q", names, chartValues)
	}
}

func readTemplates(t *testing.T, chart string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("FORTIEMS_HELM_CHART=%s has no templates: %v", chart, err)
	}
	var b strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil && filepath.Ext(f) != "" {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

// kubernetesObject is what the test needs of a Deployment, Service or ConfigMap.
type kubernetesObject struct {
	Kind string
	Data map[string]string
	Spec struct {
		Type     string
		Replicas int
		Ranges   []string `yaml:"loadBalancerSourceRanges"`
		Ports    []struct {
			Name       string
			TargetPort string `yaml:"targetPort"`
		}
		Template struct {
			Spec struct {
				Grace   int `yaml:"terminationGracePeriodSeconds"`
				Volumes []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}
				Containers []struct {
					Image         string
					Command, Args []string
					Ports         []struct {
						Name string
						Port int `yaml:"containerPort"`
					}
					Mounts []struct {
						Name string
						Path string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
					Security struct {
						NonRoot bool `yaml:"runAsNonRoot"`
					} `yaml:"securityContext"`
					Ready struct {
						Get struct{ Path string } `yaml:"httpGet"`
					} `yaml:"readinessProbe"`
				}
			}
		}
	}
}

// TestHelmRendersTheChart renders the official chart with the values of the topology. It
// fetches neither: the chart is not ours, and Helm takes minutes to build.
func TestHelmRendersTheChart(t *testing.T) {
	chart := os.Getenv("FORTIEMS_HELM_CHART")
	if chart == "" {
		t.Skip("not run: Helm needs FORTIEMS_HELM_CHART, the folder of the chart fluent-bit of github.com/fluent/helm-charts")
	}
	helm, err := exec.LookPath(filepath.Join(rig.Root, "build/out/helm"))
	if err != nil {
		helm, err = exec.LookPath("helm")
	}
	if err != nil {
		t.Skip("not run: needs helm (make helm)")
	}
	templates := readTemplates(t, chart)
	for _, name := range chartValues {
		if name == "image.repository" {
			name = "image" // by a helper
		}
		if !regexp.MustCompile(`\.Values\.` + regexp.QuoteMeta(name) + `\b`).MatchString(templates) {
			t.Errorf("no template of %s reads %s", chart, name)
		}
	}
	values := topologies + "kubernetes-values.yaml"
	if out, err := exec.Command(helm, "lint", "--strict", chart, "-f", values).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.Command(helm, "template", "fortiems", chart, "-f", values).Output()
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]kubernetesObject{}
	for d := yaml.NewDecoder(strings.NewReader(string(out))); ; {
		var o kubernetesObject
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		objects[o.Kind] = o
	}
	if _, ok := objects["ClusterRole"]; ok {
		t.Error("the chart asks for rights in the cluster")
	}
	d := objects["Deployment"].Spec
	if len(d.Template.Spec.Containers) != 1 {
		t.Fatalf("no Deployment with one container in\n%s", out)
	}
	c := d.Template.Spec.Containers[0]
	if d.Replicas != 2 || d.Template.Spec.Grace <= 40 || !c.Security.NonRoot || c.Command[0] != "/fluent-bit/bin/fluent-bit" || c.Ready.Get.Path == "" {
		t.Errorf("%+v", d)
	}
	volumes := map[string]bool{}
	for _, v := range d.Template.Spec.Volumes {
		volumes[v.Name] = true
	}
	config, file := "", c.Args[len(c.Args)-1]
	for _, m := range c.Mounts {
		if !volumes[m.Name] {
			t.Errorf("%s is mounted but is no volume", m.Name)
		}
		if m.Path == filepath.Dir(file) {
			config = objects["ConfigMap"].Data[filepath.Base(file)]
		}
	}
	for _, want := range []string{"fortiems_es", "Port              6514", "Grace           40", "/es-ca/ca.crt"} {
		if !strings.Contains(config, want) {
			t.Errorf("%s has no %q:\n%s", file, want, config)
		}
	}
	s := objects["Service"].Spec
	if s.Type != "LoadBalancer" || len(s.Ranges) == 0 {
		t.Errorf("service %+v", s)
	}
	for _, p := range s.Ports {
		if !slices.ContainsFunc(c.Ports, func(q struct {
			Name string
			Port int `yaml:"containerPort"`
		}) bool {
			return q.Name == p.TargetPort
		}) {
			t.Errorf("port %s leads to no port of the container", p.Name)
		}
	}
}
