package abi_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// sanitizedHost builds the stand-in host with address and undefined-behaviour checks.
// The object then uses the malloc and free of the sanitizer.
func sanitizedHost(t *testing.T) string {
	t.Helper()
	rig.Build(t)
	if text, err := command("make", "-s", "-C", "../..", "host-asan"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return host + "-asan"
}

// slow skips a test that rebuilds the whole standard library, unless it was requested.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("FORTIEMS_VARIANTS") == "" {
		t.Skip("not run: it rebuilds the whole standard library, which takes minutes; make test-memory runs it")
	}
}

// variant builds the object with other build options.
func variant(t *testing.T, vars ...string) string {
	t.Helper()
	rig.Build(t)
	dir := t.TempDir()
	if text, err := command("make", append([]string{"-s", "-C", "../..", "OUT=" + dir, dir + "/flb-filter_fortiems.so"}, vars...)...); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return filepath.Join(dir, "flb-filter_fortiems.so")
}

// leakOption enables leak checks where they work; they need ptrace, which some sandboxes
// deny.
func leakOption(t *testing.T, host string) string {
	t.Helper()
	if p := start(t, "", "env", "ASAN_OPTIONS=detect_leaks=1", host, "--help").wait(t); p.code == 0 {
		return "ASAN_OPTIONS=detect_leaks=1"
	}
	t.Log("without leak checks, they need ptrace")
	return "ASAN_OPTIONS=detect_leaks=0"
}

func corpusFile(t *testing.T) string {
	t.Helper()
	inputs, err := filepath.Glob("../corpus/*/input.log")
	if err != nil || len(inputs) < 30 {
		t.Fatalf("%d cases, %v", len(inputs), err)
	}
	var all strings.Builder
	for _, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(strings.TrimSuffix(string(text), "\n") + "\n")
	}
	return file(t, all.String())
}

// exercise runs the object in a host in all the ways that could cause memory errors.
// Every run must succeed without a sanitizer report.
func exercise(t *testing.T, env, host, object string) {
	run := func(t *testing.T, args ...string) *process {
		t.Helper()
		p := start(t, "", "env", append([]string{env, host, "--filter", object, "--guard"}, args...)...).wait(t).wantCode(t, 0)
		for _, word := range []string{"Sanitizer", "runtime error:", "fatal error", "internal error"} {
			if strings.Contains(p.log.String(), word) {
				t.Fatalf("%v\n%s", args, p.log.String())
			}
		}
		return p
	}
	corpus := corpusFile(t)
	lines := len(run(t, "--key", "message", "--input", corpus).records(t))
	if lines < 400 {
		t.Fatalf("%d records of the corpus", lines)
	}
	for name, args := range map[string][]string{
		"flat":          {"--filter-prop", "schema=flat", "--filter-prop", "preserve_original=on"},
		"mark":          {"--filter-prop", "unmatched=mark", "--filter-prop", "event_time=off"},
		"bin, old form": {"--key", "log", "--old-form"},
		"groups":        {"--group", "--extra", "event=x", "--extra", "n=y"},
		"chain":         {"--chain", "--instances", "3"},
		"threads and reloads": {"--threads", "4", "--instances", "2", "--reload", "20", "--chunk", "7",
			"--repeat", "10", "--filter-prop", "unmatched=mark"},
	} {
		t.Run(name, func(t *testing.T) {
			want := lines
			if slices.Contains(args, "--repeat") {
				want *= 10
			}
			if !slices.Contains(args, "--key") {
				args = append(args, "--key", "message")
			}
			if n := len(run(t, append(args, "--input", corpus)...).records(t)); n != want {
				t.Errorf("%d records, want %d", n, want)
			}
		})
	}
	t.Run("drop", func(t *testing.T) {
		if n := len(run(t, "--key", "message", "--input", corpus, "--filter-prop", "unmatched=drop").records(t)); n == 0 || n >= lines {
			t.Errorf("%d of %d records", n, lines)
		}
	})
	t.Run("corrupt chunks", func(t *testing.T) {
		good := chunkOf(t, line(t)+"\n"+unmatched+"\n")
		random := rand.New(rand.NewPCG(1, 2))
		for range 40 {
			bad := slices.Clone(good)
			for range 1 + random.IntN(3) {
				bad[random.IntN(len(bad))] = byte(random.UintN(256))
			}
			if random.IntN(2) == 0 {
				bad = bad[:1+random.IntN(len(bad))]
			}
			run(t, "--raw-chunk", file(t, string(bad)), "--quiet")
		}
	})
}

func TestMemory(t *testing.T) {
	host := sanitizedHost(t)
	exercise(t, leakOption(t, host), host, object)
}

// The C boundary, instrumented like the host.
func TestMemoryOfTheDoor(t *testing.T) {
	const checks = "-fsanitize=address,undefined"
	object := variant(t, "CGO_CFLAGS=-g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all "+checks, "CGO_LDFLAGS="+checks)
	host := sanitizedHost(t)
	exercise(t, leakOption(t, host), host, object)
}

// The Go code too: its reads and writes of the host's memory.
func TestMemoryOfInstrumentedGo(t *testing.T) {
	slow(t)
	object := variant(t, "GOFLAGS=-asan")
	host := sanitizedHost(t)
	exercise(t, leakOption(t, host), host, object)
}

// Every write of a pointer is checked against the rules of passing pointers to C.
func TestPointersBetweenGoAndC(t *testing.T) {
	slow(t)
	object := variant(t, "GOEXPERIMENT=cgocheck2")
	exercise(t, "GODEBUG=cgocheck=1", host, object)
}
