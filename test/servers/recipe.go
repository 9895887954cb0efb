package servers

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

//go:embed log4j2.properties Server.java */pom.xml
var files embed.FS

// Kind is a server that can be started.
type Kind string

// The servers. Their versions are in <kind>/pom.xml.
const (
	OpenSearch     Kind = "opensearch"     // 2.19.1, core modules; with Options also security and ISM
	OpenSearch3    Kind = "opensearch3"    // 3.9.0, core modules
	Elasticsearch  Kind = "elasticsearch"  // 7.17.29, core only: no data streams, no ILM
	Elasticsearch9 Kind = "elasticsearch9" // 9.5.3, core only, and it does not answer GET /
)

// recipe is what a kind is made of.
type recipe struct {
	name    string // of the product, as settings and descriptors have it
	java    int    // oldest version of Java that runs it
	modules []module
	words   []string // what Server.java says for OpenSearch, and what it has to say
	zstd    bool     // needs libzstd, which its distribution brings along
}

// module is a part of a server that it loads with a class loader of its own.
type module struct {
	name, class string
	jars        []string // first words of its files, which are among those of the class path
}

var (
	nettyJars  = []string{"netty-", "transport-netty4", "opensearch-netty4"}
	mapperJars = []string{"mapper-extras"}
)

// has says whether the file jar is one of the module.
func (m module) has(jar string) bool {
	return slices.ContainsFunc(m.jars, func(word string) bool { return strings.HasPrefix(filepath.Base(jar), word) })
}

var recipes = map[Kind]recipe{
	OpenSearch: {"opensearch", 11, []module{
		{"transport-netty4", "org.opensearch.transport.Netty4Plugin", nettyJars},
		{"mapper-extras", "org.opensearch.index.mapper.MapperExtrasPlugin", mapperJars},
	}, nil, false},
	OpenSearch3: {"opensearch", 21, []module{
		{"transport-netty4", "org.opensearch.transport.Netty4ModulePlugin", nettyJars},
		{"mapper-extras", "org.opensearch.index.mapper.MapperExtrasModulePlugin", mapperJars},
	}, nil, false},
	Elasticsearch: {"elasticsearch", 8, []module{
		{"transport-netty4", "org.elasticsearch.transport.Netty4Plugin", nettyJars},
		{"mapper-extras", "org.elasticsearch.index.mapper.MapperExtrasPlugin", mapperJars},
	}, []string{"org.opensearch.", "org.elasticsearch."}, false},
	Elasticsearch9: {"elasticsearch", 21, []module{
		{"transport-netty4", "org.elasticsearch.transport.netty4.Netty4Plugin", nettyJars},
	}, []string{"org.opensearch.", "org.elasticsearch.",
		"super(environment);", `super(environment, org.elasticsearch.plugins.PluginsLoader.createPluginsLoader(
            org.elasticsearch.plugins.PluginsLoader.loadModulesBundles(environment.modulesDir(), false),
            org.elasticsearch.plugins.PluginsLoader.loadPluginsBundles(environment.pluginsDir(), false), Map.of(), false));`,
		"Settings.Builder settings =", "org.elasticsearch.common.logging.LogConfigurator.configureESLogging();\n        Settings.Builder settings ="}, true},
}

const (
	resolveTimeout = 10 * time.Minute // the first time, Maven downloads about 50 MB
	dependencies   = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:"
)

var pomVersion = regexp.MustCompile(`<version>([^<]+)</version>`)

// Version is the version of kind, as in its pom.xml.
func (k Kind) Version() string {
	text, err := files.ReadFile(string(k) + "/pom.xml")
	if err != nil {
		return ""
	}
	return string(pomVersion.FindSubmatch(text)[1])
}

// String is product and version, as for messages.
func (k Kind) String() string {
	return map[string]string{"opensearch": "OpenSearch", "elasticsearch": "Elasticsearch"}[recipes[k].name] + " " + k.Version()
}

// ClassPath returns the files of the class path of kind, modules included, for tests that
// start a server in another way.
func ClassPath(ctx context.Context, kind Kind) ([]string, error) {
	if _, err := findJava(recipes[kind].java); err != nil {
		return nil, err
	}
	_, jars, err := resolve(ctx, kind)
	return jars, err
}

// resolve returns the folder with Server.java and modules of kind, and the class path.
// Several test processes may call it at the same time.
func resolve(ctx context.Context, kind Kind) (dir string, jars []string, err error) {
	text, sum := map[string]string{}, sha256.New()
	for _, n := range []string{string(kind) + "/pom.xml", "Server.java", "log4j2.properties"} {
		b, err := files.ReadFile(n)
		if err != nil {
			return "", nil, err
		}
		s := strings.NewReplacer(recipes[kind].words...).Replace(string(b))
		text[filepath.Base(n)] = s
		fmt.Fprint(sum, s)
	}
	fmt.Fprint(sum, recipes[kind].modules)
	dir = filepath.Join(cache(), fmt.Sprintf("%s-%x", string(kind), sum.Sum(nil)[:6]))
	unlock, err := lock(dir)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	if recipes[kind].zstd {
		if err := linkZstd(filepath.Join(dir, "native")); err != nil {
			return "", nil, err
		}
	}
	for n, s := range text {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(s), 0o644); err != nil {
			return "", nil, err
		}
	}
	list := filepath.Join(dir, "classpath")
	if b, err := os.ReadFile(list); err == nil && allExist(string(b)) {
		return dir, filepath.SplitList(string(b)), nil
	}
	if err := maven(ctx, dir, dependencies+"build-classpath", "-Dmdep.outputFile="+list+".new"); err != nil {
		return "", nil, fmt.Errorf("class path of %s: %w", kind, err)
	}
	b, err := os.ReadFile(list + ".new")
	if err != nil {
		return "", nil, err
	}
	jars = filepath.SplitList(strings.TrimSpace(string(b)))
	for _, m := range recipes[kind].modules {
		if err := m.lay(filepath.Join(dir, "modules", m.name), recipes[kind].name, kind.Version(), jars); err != nil {
			return "", nil, err
		}
	}
	return dir, jars, os.WriteFile(list, []byte(strings.Join(jars, ":")), 0o644) // last: now all is there
}

// lay makes the folder of a module as the distribution has it.
func (m module) lay(dir, product, version string, jars []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, jar := range jars {
		if m.has(jar) {
			link := filepath.Join(dir, filepath.Base(jar))
			os.Remove(link) // of an earlier time
			if err := os.Symlink(jar, link); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "plugin-descriptor.properties"), fmt.Appendf(nil,
		"name=%s\ndescription=module\nversion=%s\n%s.version=%[2]s\njava.version=1.8\nclassname=%[4]s\n", m.name, version, product, m.class), 0o644)
}

// linkZstd puts the libzstd of this machine where the server looks for it. Without it no
// index with the codec best_compression can be written.
func linkZstd(dir string) error {
	for _, pattern := range []string{"/usr/lib/*/libzstd.so.1", "/usr/lib64/libzstd.so.1", "/usr/lib/libzstd.so.1"} {
		found, _ := filepath.Glob(pattern) // only a bad pattern is an error
		if len(found) > 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return link(found[0], filepath.Join(dir, "libzstd.so"))
		}
	}
	return fmt.Errorf("%w: and libzstd (Debian: apt-get install libzstd1)", ErrNoTool)
}

// library are the files of the class path that belong to no module.
func library(kind Kind, jars []string) []string {
	return slices.DeleteFunc(slices.Clone(jars), func(jar string) bool {
		return slices.ContainsFunc(recipes[kind].modules, func(m module) bool { return m.has(jar) })
	})
}

// cache is the folder of what is resolved once.
func cache() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "build", "out", "servers")
}

// lock makes dir and keeps other processes out of it until unlock.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// maven runs Maven in dir.
func maven(ctx context.Context, dir string, args ...string) error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return ErrNoTool
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mvn", append([]string{"-q", "-B"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func allExist(path string) bool {
	for _, f := range filepath.SplitList(path) {
		if _, err := os.Stat(f); err != nil {
			return false
		}
	}
	return path != ""
}
