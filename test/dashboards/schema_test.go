package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	_ "github.com/grafana/grafana-foundation-sdk/go/elasticsearch" // the queries of our panels
)

// TestGrafanaReadsThePages reads the pages with Grafana's own library, which rejects
// unknown fields and reports missing required ones.
func TestGrafanaReadsThePages(t *testing.T) {
	files, err := filepath.Glob(dir + "/grafana*/*.json")
	if err != nil || len(files) != 2*len(mustRead(t).Pages) {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var page map[string]any
		if err := json.Unmarshal(text, &page); err != nil {
			t.Fatal(file, err)
		}
		for _, v := range page["templating"].(map[string]any)["list"].([]any) {
			delete(v.(map[string]any), "filters") // of ad hoc filters, which the library lacks
		}
		read := func() (n int, faults string) {
			text, err := json.Marshal(page)
			if err != nil {
				t.Fatal(err)
			}
			//lint:ignore SA1019 the form of Grafana 11, which the stack runs; the successor is another schema
			var d sdk.Dashboard
			for _, err := range []error{d.UnmarshalJSONStrict(text), d.Validate()} {
				if err != nil { // a list, empty without errors
					faults += err.Error()
				}
			}
			return len(d.Panels), faults
		}
		if n, faults := read(); faults != "" || n != len(page["panels"].([]any)) {
			t.Errorf("%s: %d panels read\n%s", filepath.Base(file), n, faults)
		}
		page["links"].([]any)[0].(map[string]any)["tooltip"] = 7
		if _, faults := read(); faults == "" {
			t.Errorf("%s: a number for a text is not noticed", filepath.Base(file))
		}
	}
}
