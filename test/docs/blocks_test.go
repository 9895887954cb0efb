package docs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A code block of a document is run, or says why not. Above it stands one of
//
//	<!-- NAME -->                        a test runs or writes what stands until <!-- /NAME -->: see named
//	<!-- run by test/abi: TestName -->   a test of that package runs the same
//	<!-- not run: reason -->

// named are the names of blocks with the tests that run, compare or write them.
var named = map[string]string{
	"line": "TestGeneratedPartsAreUpToDate", "record": "TestGeneratedPartsAreUpToDate",
	"worked example: make golden": "TestReadmeExample",
	"rule":                        "TestRulesExampleLoads", "rule-with-list": "TestRulesWithListsLoad", "new-rule": "TestRulesWithListsLoad",
	"unknown-rule": "TestUnknownLineExample", "try": "TestTryARule",
	"replay": "TestReplayOfDeadLetters",
	"logger": "TestLogger", "smallest": "TestSmallestConfiguration", "start": "TestSmallestConfiguration",
	"classic": "TestSmallestConfiguration", "plugins": "TestSmallestConfiguration",
	"count": "TestQueriesOfTheDocuments", "discover": "TestQueriesOfTheDocuments", "templates": "TestQueriesOfTheDocuments",
	"uninstall": "TestQueriesOfTheDocuments",
	"explain":   "TestExampleOfExplain", "check": "TestCommandsOfTheDocuments", "report": "TestCommandsOfTheDocuments",
	"discover-wordings": "TestCommandsOfTheDocuments", "own-lines": "TestCommandsOfTheDocuments", "redact": "TestCommandsOfTheDocuments",
	"flow": "TestFlow",
}

var mark = regexp.MustCompile(`^ *<!-- (.*) -->$`)

// unmarked returns the blocks of a document that neither a test runs nor a reason
// excuses, by their line. tests are the test functions by the folder of their package.
func unmarked(text string, tests map[string][]string) (problems []string) {
	lines := strings.Split(text, "\n")
	inside := false
	for i, line := range lines {
		if !strings.HasPrefix(strings.TrimSpace(line), "```") {
			continue
		}
		if inside = !inside; !inside {
			continue
		}
		above := ""
		if i > 0 {
			if m := mark.FindStringSubmatch(lines[i-1]); m != nil {
				above = m[1]
			}
		}
		where := fmt.Sprintf("line %d: %s", i+1, strings.TrimSpace(line))
		switch test, isNamed := named[above]; {
		case isNamed:
			if !slices.ContainsFunc(slices.Collect(maps.Values(tests)), func(of []string) bool { return slices.Contains(of, test) }) {
				problems = append(problems, where+": no test "+test)
			}
		case strings.HasPrefix(above, "not run: "):
			if len(above) < len("not run: ")+10 {
				problems = append(problems, where+": that is no reason")
			}
		case strings.HasPrefix(above, "run by "):
			folder, test, ok := strings.Cut(strings.TrimPrefix(above, "run by "), ": ")
			if !ok || !slices.Contains(tests[folder], test) {
				problems = append(problems, where+": no test "+above)
			}
		default:
			problems = append(problems, where+": no test runs this block and nothing says why not")
		}
	}
	return problems
}

// testFunctions returns the names of all tests, fuzz targets and benchmarks by folder.
func testFunctions(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() && (rel == ".git" || rel == "build/out") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(rel, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(readAll(t, name), -1) {
				found[filepath.Dir(rel)] = append(found[filepath.Dir(rel)], m[1])
			}
		}
		return nil
	})
	if err != nil || len(found) < 20 {
		t.Fatalf("%d folders with tests, %v", len(found), err)
	}
	return found
}

func TestEveryBlockRunsOrSaysWhyNot(t *testing.T) {
	tests := testFunctions(t)
	for name, text := range documents(t) {
		for _, problem := range unmarked(text, tests) {
			t.Errorf("%s: %s", name, problem)
		}
		// A name that nobody knows looks as if a test ran the block.
		for _, block := range regexp.MustCompile("(?m)^ *<!-- (.*) -->\n *```").FindAllStringSubmatch(text, -1) {
			if _, ok := named[block[1]]; ok && block[1] != "worked example: make golden" && !strings.Contains(text, "<!-- /"+block[1]+" -->") {
				t.Errorf("%s: %s has no end", name, block[1])
			}
		}
	}
}

func TestBlocksWithoutAMarkAreFound(t *testing.T) {
	tests := map[string][]string{"test/a": {"TestA", "TestGeneratedPartsAreUpToDate"}}
	block := "\n```sh\nmake\n```\n"
	for _, c := range []struct {
		text string
		want int
	}{
		{"text" + block, 1},
		{"<!-- unknown -->" + block, 1},
		{"<!-- not run: no -->" + block, 1},
		{"<!-- run by test/a: TestB -->" + block, 1},
		{"<!-- not run: needs a FortiEMS -->" + block + "text" + block, 1},
		{"<!-- not run: needs a FortiEMS -->" + block, 0},
		{"<!-- run by test/a: TestA -->" + block, 0},
		{"<!-- line -->" + block + "<!-- /line -->", 0},
		{"* item\n  <!-- not run: needs a FortiEMS -->\n  ```sh\n  make\n  ```\n", 0},
	} {
		if got := unmarked(c.text, tests); len(got) != c.want {
			t.Errorf("%q: %q", c.text, got)
		}
	}
}

// TestTestCommandsFindTests: go test commands of the documents name packages and tests
// that exist.
func TestTestCommandsFindTests(t *testing.T) {
	tests := testFunctions(t)
	commands := 0
	for name, text := range documents(t) {
		code, _ := code(text)
		for _, m := range regexp.MustCompile("(?m)go test ([^\\n&;`]+)").FindAllStringSubmatch(code, -1) {
			var folders []string
			pattern := ""
			words := strings.Fields(m[1])
			for i, w := range words {
				if strings.HasPrefix(w, "./") {
					folders = append(folders, strings.TrimPrefix(w, "./"))
				}
				if w == "-run" && i+1 < len(words) {
					pattern = strings.ReplaceAll(strings.Trim(words[i+1], "'"), `\|`, "|")
				}
			}
			if len(folders) == 0 || strings.Contains(m[1], "-run '^$'") {
				continue
			}
			commands++
			var found []string
			for folder, of := range tests {
				for _, f := range folders {
					if folder == f || strings.HasSuffix(f, "/...") && strings.HasPrefix(folder+"/", strings.TrimSuffix(f, "...")) {
						found = append(found, of...)
					}
				}
			}
			if len(found) == 0 {
				t.Errorf("%s: no tests in %q", name, folders)
			}
			for alternative := range strings.SplitSeq(pattern, "|") {
				re, err := regexp.Compile(alternative)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(found, re.MatchString) {
					t.Errorf("%s: go test %s: no test %s", name, m[1], alternative)
				}
			}
		}
	}
	if commands < 8 {
		t.Errorf("%d commands found", commands)
	}
}
