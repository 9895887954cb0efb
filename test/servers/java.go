package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// ErrNoTool means that a JDK of the version that a server needs, or Maven, is missing. Its
// text says what is needed.
var ErrNoTool = errors.New("needs a JDK and Maven (Debian: apt-get install default-jdk-headless maven)")

// jdk is a JDK of this machine.
type jdk struct {
	version int
	java    string // the program
}

// findJava returns the oldest JDK of this machine that is of version at least.
func findJava(version int) (jdk, error) {
	best, seen := jdk{}, []string{}
	for _, j := range jdks() {
		seen = append(seen, strconv.Itoa(j.version))
		if j.version >= version && (best.java == "" || j.version < best.version) {
			best = j
		}
	}
	if best.java == "" && len(seen) > 0 {
		return best, fmt.Errorf("%w: the JDK has to be of version %d or newer; JAVA_HOME, PATH and /usr/lib/jvm have %s", ErrNoTool, version, strings.Join(seen, ", "))
	}
	if best.java == "" {
		return best, ErrNoTool
	}
	return best, nil
}

var javaVersion = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

// jdks lists the JDKs in JAVA_HOME, PATH and where the packages of Linux distributions put
// them. One without a compiler is of no use: the server is started from its source.
var jdks = sync.OnceValue(func() (list []jdk) {
	homes := []string{os.Getenv("JAVA_HOME")}
	if java, err := exec.LookPath("java"); err == nil {
		if java, err = filepath.EvalSymlinks(java); err == nil {
			homes = append(homes, filepath.Dir(filepath.Dir(java)))
		}
	}
	more, _ := filepath.Glob("/usr/lib/jvm/*") // only a bad pattern is an error
	seen := map[string]bool{}
	for _, home := range append(homes, more...) {
		home, err := filepath.EvalSymlinks(home)
		if err != nil || seen[home] {
			continue
		}
		seen[home] = true
		if _, err := os.Stat(filepath.Join(home, "bin", "javac")); err != nil {
			continue
		}
		java := filepath.Join(home, "bin", "java")
		out, err := exec.Command(java, "-version").CombinedOutput()
		m := javaVersion.FindSubmatch(out)
		if err != nil || m == nil {
			continue
		}
		if v, err := strconv.Atoi(string(m[1])); err == nil {
			list = append(list, jdk{v, java})
		}
	}
	return list
})
