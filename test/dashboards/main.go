package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . -dir ../../conf/dashboards

func main() {
	dir := flag.String("dir", "conf/dashboards", "folder with dashboards.yaml")
	flag.Parse()
	if err := run(*dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	d, err := read(filepath.Join(dir, "dashboards.yaml"))
	if err != nil {
		return err
	}
	files, err := generate(d)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the files by their names.
func generate(d *description) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, product := range map[string]product{"kibana.ndjson": kibana, "opensearch-dashboards.ndjson": opensearchDashboards} {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		for _, o := range savedObjects(d, product) {
			if err := enc.Encode(o); err != nil {
				return nil, err
			}
		}
		files[name] = b.Bytes()
	}
	indent := func(name string, doc any) error {
		text, err := json.MarshalIndent(doc, "", "  ")
		files[name] = append(text, '\n')
		return err
	}
	for _, p := range d.Pages {
		if err := indent("grafana/"+p.ID+".json", grafanaDashboard(d, p, grafanaECS)); err != nil {
			return nil, err
		}
	}
	flat := d.flat()
	for _, p := range flat.Pages {
		if len(p.Panels) == 0 {
			continue
		}
		if err := indent("grafana-flat/"+p.ID+".json", grafanaDashboard(flat, p, grafanaFlat)); err != nil {
			return nil, err
		}
	}
	if err := indent("graylog-content-pack.json", graylogPack(flat)); err != nil {
		return nil, err
	}
	return files, nil
}
