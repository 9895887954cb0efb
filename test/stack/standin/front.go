package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// kibana serves status and import with the settings that the image gets from its
// environment, as Kibana and OpenSearch Dashboards do.
func kibana() error {
	server, name, password := os.Getenv("ELASTICSEARCH_HOSTS"), os.Getenv("ELASTICSEARCH_USERNAME"), os.Getenv("ELASTICSEARCH_PASSWORD")
	client := http.DefaultClient
	host := os.Getenv("SERVER_HOST")
	if list := os.Getenv("OPENSEARCH_HOSTS"); list != "" {
		var hosts []string
		if err := json.Unmarshal([]byte(list), &hosts); err != nil || len(hosts) != 1 {
			return fmt.Errorf("OPENSEARCH_HOSTS %q: %v", list, err)
		}
		server, name, password = hosts[0], os.Getenv("OPENSEARCH_USERNAME"), os.Getenv("OPENSEARCH_PASSWORD")
		host = "0.0.0.0" // set in the official image
		pem, err := os.ReadFile(os.Getenv("OPENSEARCH_SSL_CERTIFICATEAUTHORITIES"))
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) || os.Getenv("OPENSEARCH_SSL_VERIFICATIONMODE") != "full" {
			return errors.New("no authority, or the certificate would not be verified")
		}
		client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	} else if len(os.Getenv("XPACK_ENCRYPTEDSAVEDOBJECTS_ENCRYPTIONKEY")) < 32 {
		return errors.New("XPACK_ENCRYPTEDSAVEDOBJECTS_ENCRYPTIONKEY has fewer than 32 characters")
	}
	// Its own account reads the health of the server; users log in with theirs.
	if err := login(client, server+"/_cluster/health", name, password); err != nil {
		return err
	}
	mux := http.NewServeMux()
	allow := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			u, p, _ := r.BasicAuth()
			if err := login(client, server+"/_cluster/health", u, p); err != nil {
				http.Error(w, err.Error(), http.StatusUnauthorized)
				return
			}
			next(w, r)
		}
	}
	mux.HandleFunc("GET /api/status", allow(func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]string{"status": "green"}) }))
	mux.HandleFunc("POST /api/saved_objects/_import", allow(importObjects))
	return http.ListenAndServe(host+":5601", mux)
}

// importObjects counts the objects of the file. A reference to an object that is not in
// it is an error, as in Kibana.
func importObjects(w http.ResponseWriter, r *http.Request) {
	file, _, err := r.FormFile("file")
	if err != nil || r.Header.Get("kbn-xsrf") == "" || r.Header.Get("osd-xsrf") == "" {
		http.Error(w, "no file, or no header against forged requests", http.StatusBadRequest)
		return
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return
	}
	type key struct{ Type, ID string }
	have, want := map[key]bool{}, map[key]bool{}
	for line := range bytes.Lines(text) {
		var o struct {
			key
			References []key
		}
		if err := json.Unmarshal(line, &o); err != nil || o.ID == "" {
			http.Error(w, "not a saved object: "+string(line), http.StatusBadRequest)
			return
		}
		have[o.key] = true
		for _, ref := range o.References {
			want[ref] = true
		}
	}
	var missing []any
	for k := range want {
		if !have[k] {
			missing = append(missing, map[string]string{"type": k.Type, "id": k.ID})
		}
	}
	answer(w, map[string]any{"success": missing == nil, "successCount": len(have) - len(missing), "errors": missing})
}

func login(client *http.Client, url, name, password string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(name, password)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s as %s: HTTP status %d", url, name, resp.StatusCode)
	}
	return nil
}

// grafana is healthy when every provisioned data source answers and every provisioned
// dashboard can be read.
func grafana() error {
	const provisioning = "/etc/grafana/provisioning"
	if os.Getenv("GF_SECURITY_ADMIN_PASSWORD") == "" {
		return errors.New("GF_SECURITY_ADMIN_PASSWORD is empty")
	}
	http.HandleFunc("GET /api/health", func(w http.ResponseWriter, _ *http.Request) {
		err := errors.Join(eachYAML(provisioning+"/datasources", dataSources), eachYAML(provisioning+"/dashboards", dashboards))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			fmt.Fprintln(os.Stderr, err)
			return
		}
		answer(w, map[string]string{"database": "ok"})
	})
	s := http.Server{Addr: ":3000", ReadHeaderTimeout: time.Minute}
	return s.ListenAndServe()
}

func eachYAML(dir string, read func([]byte) error) error {
	files, err := filepath.Glob(dir + "/*.yaml")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no file: %w", dir, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil {
			err = read(text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	return nil
}

func dataSources(text []byte) error {
	var c struct {
		Datasources []struct {
			URL            string
			BasicAuthUser  string            `yaml:"basicAuthUser"`
			SecureJSONData map[string]string `yaml:"secureJsonData"`
			JSONData       map[string]string `yaml:"jsonData"`
		}
	}
	if err := yaml.Unmarshal(text, &c); err != nil || len(c.Datasources) == 0 {
		return fmt.Errorf("no data source: %w", err)
	}
	for _, d := range c.Datasources {
		password := os.ExpandEnv(d.SecureJSONData["basicAuthPassword"])
		if err := login(http.DefaultClient, d.URL+"/"+d.JSONData["index"]+"/_search?size=0", d.BasicAuthUser, password); err != nil {
			return err
		}
	}
	return nil
}

func dashboards(text []byte) error {
	var c struct {
		Providers []struct{ Options struct{ Path string } }
	}
	if err := yaml.Unmarshal(text, &c); err != nil || len(c.Providers) == 0 {
		return fmt.Errorf("no provider: %w", err)
	}
	for _, p := range c.Providers {
		files, err := filepath.Glob(p.Options.Path + "/*.json")
		if err != nil || len(files) == 0 {
			return fmt.Errorf("no dashboard in %s: %w", p.Options.Path, err)
		}
		for _, f := range files {
			var d struct{ Title, UID string }
			text, err := os.ReadFile(f)
			if err == nil {
				err = json.Unmarshal(text, &d)
			}
			if err != nil || d.Title == "" || strings.ContainsAny(d.UID, " /") {
				return fmt.Errorf("%s: title %q, uid %q, %w", f, d.Title, d.UID, err)
			}
		}
	}
	return nil
}
