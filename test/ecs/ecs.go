// Package ecs holds the part of the Elastic Common Schema 9.4 that the tests
// need, made from ecs_flat.yml of the ECS repository (Apache-2.0).
package ecs

import (
	_ "embed"
	"encoding/json"
)

//go:embed fields.json
var fieldsJSON []byte

// Field is a field of ECS.
type Field struct {
	Type    string   `json:"type"`
	Array   bool     `json:"array,omitempty"`
	Allowed []string `json:"allowed,omitempty"`
	// Multi holds the types of the multi-fields by their names.
	Multi map[string]string `json:"multi,omitempty"`
	// Expected holds the event types by event category (event.category only).
	Expected map[string][]string `json:"expected,omitempty"`
}

// Fields returns the fields by their dotted names.
func Fields() (map[string]Field, error) {
	fields := map[string]Field{}
	err := json.Unmarshal(fieldsJSON, &fields)
	return fields, err
}
