package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// findFile resolves a relative file name as Fluent Bit resolves parsers_file: in the
// working directory, else in the directory of the configuration file. Fluent Bit 5.1.1 does
// not tell a plugin that directory, and forgets it at a reload, so it comes from args, the
// command line.
func findFile(name string, args []string) (string, error) {
	_, err := os.Stat(name)
	if filepath.IsAbs(name) || !errors.Is(err, fs.ErrNotExist) {
		return name, nil
	}
	where := "the working directory"
	if dir, err := os.Getwd(); err == nil {
		where += " " + dir
	}
	if dir := configDir(args); dir != "" {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		where += " and not in " + dir + ", where the configuration is"
	}
	return "", fmt.Errorf("%s does not exist: not in %s; name it by its whole path", name, where)
}

// configDir returns the directory of the configuration file that the command line of Fluent
// Bit names, "" without one.
func configDir(args []string) string {
	file := ""
	for i, a := range args {
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		switch {
		case i == 0:
		case a == "-c", a == "--config":
			file = next
		case strings.HasPrefix(a, "--config="):
			file = strings.TrimPrefix(a, "--config=")
		case strings.HasPrefix(a, "-c"):
			file = a[len("-c"):]
		}
	}
	if file == "" {
		return ""
	}
	path, err := filepath.EvalSymlinks(file)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return ""
	}
	return filepath.Dir(path)
}
