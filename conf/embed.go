// Package conf embeds the index templates and lifecycle policies of this directory.
// The output installs the same files that a user can read and install by hand. The JSON files are generated; see test/templates.
package conf

import "embed"

//go:generate go run ../test/templates -dir .

// Files holds elasticsearch/*.json and opensearch/*.json.
//
//go:embed elasticsearch/*.json opensearch/*.json
var Files embed.FS
