package eshttp

import (
	"encoding/base64"
	"testing"
)

func TestCloudID(t *testing.T) {
	id := func(s string) string { return "name:" + base64.StdEncoding.EncodeToString([]byte(s)) }
	for value, want := range map[string]string{
		id("eu.example$es$kibana"):           "https://es.eu.example:443",
		id("eu.example:9243$es$kibana"):      "https://es.eu.example:9243",
		id("eu.example$es:9244$kibana"):      "https://es.eu.example:9244",
		id("eu.example:9243$es:9244$kibana"): "https://es.eu.example:9244",
		id("eu.example:0$es$kibana"):         "",
		id("eu.example:x$es$kibana"):         "",
		id("eu.example"):                     "",
		"name:%%%":                           "",
	} {
		got, err := cloudHost(value)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s, %v", value, got, err)
		}
	}
}
