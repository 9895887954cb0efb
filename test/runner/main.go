// Command runner runs every Go test of the project, lists the tests that could not run
// because a tool is missing, and ends with "N passed, N failed".
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
}

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json", "-timeout", "40m", "./..."}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("Every test; this takes a while (make check: under two minutes). Packages as they end:")
	passed, failed, notRun := 0, 0, map[string][]string{} // by reason
	text := map[string]*strings.Builder{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text())
			continue
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if text[name] == nil {
				text[name] = &strings.Builder{}
			}
			text[name].WriteString(e.Output)
		case "pass":
			if e.Test != "" {
				passed++
			} else {
				fmt.Println("ok  ", e.Package)
			}
		case "skip":
			if e.Test != "" {
				why := reason(text[name])
				notRun[why] = append(notRun[why], name)
			}
		case "fail", "build-fail":
			failed++
			fmt.Println("FAIL", name)
			if text[name] != nil {
				fmt.Print(text[name].String())
			}
		}
		if e.Action == "pass" || e.Action == "skip" {
			delete(text, name)
		}
	}
	runErr := cmd.Wait()
	if len(notRun) > 0 {
		fmt.Println("\nnot run:")
		for _, why := range slices.Sorted(maps.Keys(notRun)) {
			fmt.Println("  " + why)
			for _, n := range notRun[why] {
				fmt.Println("    " + n)
			}
		}
	}
	if runErr != nil && failed == 0 {
		fmt.Println(runErr)
		failed++
	}
	fmt.Printf("\n%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

// reason returns the line with the reason why a test was skipped.
func reason(b *strings.Builder) string {
	if b == nil {
		return "no reason given"
	}
	for _, l := range strings.Split(b.String(), "\n") {
		if _, r, ok := strings.Cut(l, "not run: "); ok {
			return r
		}
	}
	return strings.TrimSpace(b.String())
}
