package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

// image writes the files of a stand-in image straight into the engine.
type image struct {
	t    *testing.T
	w    *tar.Writer
	have map[string]bool
	uid  int          // owner of what is added
	end  func() error // of docker, and what it printed
}

// standIn creates the image ref from the files that add writes.
func (e *engine) standIn(t *testing.T, ref, config string, add func(*image)) {
	t.Helper()
	args := []string{"import"}
	for line := range strings.Lines(config) {
		if line = strings.TrimSpace(line); line != "" {
			args = append(args, "--change", line)
		}
	}
	cmd := e.command("docker", append(args, "--message", "stand-in for tests", "-", ref)...)
	out := &rig.Output{}
	cmd.Stdout, cmd.Stderr = out, out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buffered := bufio.NewWriterSize(in, 1<<20)
	i := &image{t: t, w: tar.NewWriter(buffered), have: map[string]bool{}, end: func() error { return fmt.Errorf("%w\n%s", cmd.Wait(), out) }}
	i.dir("/tmp", 0o1777)
	i.text("/etc/passwd", "root:x:0:0:root:/:/none\nnobody:x:65534:65534:nobody:/:/none\n")
	add(i)
	err = errors.Join(i.w.Close(), buffered.Flush(), in.Close())
	if err = errors.Join(err, cmd.Wait()); err != nil {
		t.Fatalf("%s: %v\n%s", ref, err, out)
	}
}

func (i *image) write(h *tar.Header, r io.Reader) {
	i.t.Helper()
	name := path.Clean(h.Name) // docker refuses a path that comes twice
	if i.have[name] {
		return
	}
	i.have[name] = true
	h.Uid, h.Gid = i.uid, 0
	err := i.w.WriteHeader(h)
	if err == nil && r != nil {
		_, err = io.Copy(i.w, r)
	}
	if err != nil {
		i.t.Fatalf("%s: %v, %v", h.Name, err, i.end())
	}
}

func (i *image) dir(name string, mode int64) {
	i.write(&tar.Header{Typeflag: tar.TypeDir, Name: name[1:] + "/", Mode: mode}, nil)
}

func (i *image) text(name, text string) {
	i.write(&tar.Header{Typeflag: tar.TypeReg, Name: name[1:], Mode: 0o644, Size: int64(len(text))}, strings.NewReader(text))
}

func (i *image) link(name, to string) {
	i.write(&tar.Header{Typeflag: tar.TypeSymlink, Name: name[1:], Linkname: to, Mode: 0o777}, nil)
}

// file adds the file from of this machine as name.
func (i *image) file(from, name string) {
	i.t.Helper()
	f, err := os.Open(from)
	if err != nil {
		i.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		i.t.Fatal(err)
	}
	i.write(&tar.Header{Typeflag: tar.TypeReg, Name: name[1:], Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()}, f)
}

var sharedObject = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// program adds an executable or shared object as name, and the libraries that it loads.
func (i *image) program(from, name string) {
	i.t.Helper()
	i.file(from, name)
	out, err := exec.Command("ldd", from).Output()
	if err != nil {
		return // static
	}
	for _, m := range sharedObject.FindAllStringSubmatch(string(out), -1) {
		i.file(m[1], path.Clean(m[1])) // follows links
	}
}

// tree adds a folder of this machine as name. Links that lead out of it become files.
func (i *image) tree(from, name string, skip ...string) {
	i.t.Helper()
	err := filepath.WalkDir(from, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		for _, s := range skip {
			if rel == s && d.IsDir() {
				return fs.SkipDir
			}
		}
		to := path.Join(name, rel)
		switch {
		case d.IsDir():
			i.dir(to, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			if !path.IsAbs(target) {
				i.link(to, target)
			} else if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() {
				i.file(at, to)
			}
		case d.Type().IsRegular() && strings.Contains(path.Base(at), ".so"):
			i.program(at, to)
		case d.Type().IsRegular():
			i.file(at, to)
		}
		return nil
	})
	if err != nil {
		i.t.Fatal(err)
	}
}

// java adds the Java of this machine as /usr/lib/jvm/java.
func (i *image) java() {
	i.t.Helper()
	bin, err := exec.LookPath("java")
	if err == nil {
		bin, err = filepath.EvalSymlinks(bin)
	}
	if err != nil {
		i.t.Fatal(err)
	}
	i.tree(filepath.Dir(filepath.Dir(bin)), "/usr/lib/jvm/java", "jmods", "man", "docs", "include")
	i.program(bin, "/usr/lib/jvm/java/bin/java")
}

// searchServer adds OpenSearch in the layout of its official image. The parts that the
// official image has as modules are modules here as well.
func (i *image) searchServer(home string, jars []string, plugin, classes string) {
	i.t.Helper()
	i.uid = 1000
	for _, d := range []string{"", "/config", "/data", "/logs", "/modules", "/plugins"} {
		i.dir(home+d, 0o775)
	}
	modules := map[string][2]string{ // class, first words of its files
		"transport-netty4": {"org.opensearch.transport.Netty4Plugin", "netty-|transport-netty4"},
		"mapper-extras":    {"org.opensearch.index.mapper.MapperExtrasPlugin", "mapper-extras"},
	}
	in := map[string]string{}
	for _, jar := range jars {
		in[jar] = "/standin/lib/"
	}
	for name, m := range modules {
		dir := home + "/modules/" + name + "/"
		i.dir(strings.TrimSuffix(dir, "/"), 0o755)
		i.text(dir+"plugin-descriptor.properties", fmt.Sprintf("name=%s\ndescription=module\nversion=2.19.1\nopensearch.version=2.19.1\njava.version=11\nclassname=%s\n", name, m[0]))
		files := regexp.MustCompile("^(" + m[1] + ")")
		for _, jar := range jars {
			if files.MatchString(filepath.Base(jar)) {
				in[jar] = dir
			}
		}
	}
	for jar, dir := range in {
		i.file(jar, dir+filepath.Base(jar))
	}
	i.tree(classes, "/standin")
	if plugin == "" {
		return
	}
	// As opensearch-plugin install does: the configuration goes to the server's own.
	z, err := zip.OpenReader(plugin)
	if err != nil {
		i.t.Fatal(err)
	}
	defer z.Close()
	i.dir(home+"/config/opensearch-security", 0o755)
	i.dir(home+"/plugins/opensearch-security", 0o755)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			i.t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			i.t.Fatal(err)
		}
		if rest, ok := strings.CutPrefix(f.Name, "config/"); ok && rest != "" {
			i.text(home+"/config/opensearch-security/"+rest, string(text))
		} else if path.Dir(f.Name) == "." && !f.FileInfo().IsDir() {
			i.text(home+"/plugins/opensearch-security/"+f.Name, string(text))
		}
	}
}

// fluentBit adds a real Fluent Bit where the official image has it.
func fluentBit(t *testing.T, e *engine, ref string) {
	bin := rig.FluentBit(t)
	e.standIn(t, ref, `ENTRYPOINT ["/fluent-bit/bin/fluent-bit"]`, func(i *image) {
		i.dir("/fluent-bit", 0o755)
		i.program(bin, "/fluent-bit/bin/fluent-bit")
		if _, err := os.Stat("/etc/ssl/certs/ca-certificates.crt"); err == nil {
			i.file("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt")
		}
	})
}

// standIns tags a stand-in for every image of the profile.
func (e *engine) standIns(t *testing.T, profile string) {
	t.Helper()
	done := map[string]bool{}
	for _, s := range load(t, profile, dummyEnv()).Services {
		name := path.Base(strings.Split(s.Image, ":")[0])
		if done[s.Image] || e.output("docker", "images", "--quiet", s.Image) != "" {
			continue
		}
		done[s.Image] = true
		switch name {
		case "fluent-bit":
			fluentBit(t, e, s.Image)
		case "opensearch", "elasticsearch":
			dir := standInFiles(t)
			jars, err := servers.ClassPath(t.Context(), servers.OpenSearch)
			if err != nil {
				t.Skipf("not run: %v", err)
			}
			plugin := ""
			if name == "opensearch" {
				plugin = mavenFile(t, "org.opensearch.plugin:opensearch-security", "2.19.1.0", "zip")
			}
			e.standIn(t, s.Image, "USER 1000\nENTRYPOINT [\"/standin/standin\", \""+name+"\"]", func(i *image) {
				i.java()
				i.searchServer("/usr/share/"+name, jars, plugin, dir)
			})
		default: // kibana, opensearch-dashboards, grafana, graylog, mongo
			command, user := name, map[string]string{"grafana": "472", "graylog": "1100", "mongo": "999"}[name]
			if user == "" {
				command, user = "kibana", "1000"
			}
			dir := standInFiles(t)
			e.standIn(t, s.Image, "USER "+user+"\nENTRYPOINT [\"/standin/standin\", \""+command+"\"]", func(i *image) {
				i.file(dir+"/standin", "/standin/standin")
			})
		}
	}
}

// standInFiles builds the program standin and the class of the server.
func standInFiles(t *testing.T) string {
	t.Helper()
	jars, err := servers.ClassPath(t.Context(), servers.OpenSearch)
	if err != nil {
		t.Skipf("not run: %v", err)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", dir+"/standin", "./standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	javac := exec.Command("javac", "-cp", strings.Join(jars, ":"), "-d", dir, "standin/OpenSearch.java")
	for _, cmd := range []*exec.Cmd{build, javac} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	text, err := os.ReadFile("../servers/log4j2.properties")
	if err == nil {
		err = os.WriteFile(dir+"/log4j2.properties", text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// mavenFile fetches a file from Maven Central, once.
func mavenFile(t *testing.T, artifact, version, ext string) string {
	t.Helper()
	_, name, _ := strings.Cut(artifact, ":")
	dir := filepath.Join(rig.Root, "build/out/docker")
	file := filepath.Join(dir, name+"-"+version+"."+ext)
	if _, err := os.Stat(file); err == nil {
		return file
	}
	cmd := exec.Command("mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
		"-Dartifact="+artifact+":"+version+":"+ext, "-DoutputDirectory="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("not run: %s comes from Maven Central: %v\n%s", artifact, err, bytes.TrimSpace(out))
	}
	return file
}
