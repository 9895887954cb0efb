// Command notices prints the licences of everything that is linked into the shared object
// or the command fortiems: the Go library, every module that a package comes from, and the
// chart library that the command embeds.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licence matches the file names of licences and notices in a module.
var licence = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([.-].*)?$`)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run() error {
	const form = `{{if and .Module (not .Standard)}}{{if not .Module.Main}}{{.Module.Path}} {{.Module.Version}}{{"\t"}}{{.Module.Dir}}{{"\t"}}{{.Dir}}{{end}}{{end}}`
	list, err := exec.Command("go", "list", "-deps", "-f", form, "./plugin", "./plugin/cmd/fortiems").Output()
	if err != nil {
		return fmt.Errorf("listing linked packages: %w", err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("finding Go: %w", err)
	}
	goroot := strings.TrimSpace(string(root))
	files := map[string]map[string]bool{} // by module
	if err := collect(files, "Go", goroot, goroot); err != nil {
		return err
	}
	for line := range bytes.Lines(list) {
		parts := strings.Split(strings.TrimSpace(string(line)), "\t")
		if len(parts) != 3 {
			continue // the standard library and our own packages
		}
		if err := collect(files, parts[0], parts[1], parts[2]); err != nil {
			return err
		}
	}
	files["Apache ECharts"] = map[string]bool{"plugin/cmd/fortiems/report/page/echarts.LICENSE": true}
	return write(files)
}

// collect adds the licences of module, whose root is at top, that apply to the
// package in dir: those in it and in the folders above it.
func collect(files map[string]map[string]bool, module, top, dir string) error {
	if files[module] == nil {
		files[module] = map[string]bool{}
	}
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !e.IsDir() && licence.MatchString(e.Name()) {
				files[module][filepath.Join(dir, e.Name())] = true
			}
		}
		if len(dir) <= len(top) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

func write(files map[string]map[string]bool) error {
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintln(out, "The shared object of fluent-bit-fortiems and the command fortiems contain the following works.")
	var errs []error
	for _, module := range slices.Sorted(maps.Keys(files)) {
		if len(files[module]) == 0 {
			errs = append(errs, fmt.Errorf("%s has no licence", module))
		}
		for _, name := range slices.Sorted(maps.Keys(files[module])) {
			text, err := os.ReadFile(name)
			if err != nil {
				errs = append(errs, err)
			}
			fmt.Fprintf(out, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 80), module, filepath.Base(name), bytes.TrimRight(text, "\n"))
		}
	}
	return errors.Join(append(errs, out.Flush())...)
}
