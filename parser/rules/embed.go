// Package rules holds the built-in rules as data. parser/README.md describes their format.
package rules

import "embed"

// Files are the YAML files of this folder.
//
//go:embed *.yaml
var Files embed.FS
