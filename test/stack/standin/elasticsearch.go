package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

const (
	elasticHome = "/usr/share/elasticsearch"
	accountFile = elasticHome + "/data/accounts.json" // Elasticsearch keeps them in an index
)

// elastic is Elasticsearch as far as the stack asks for it.
type elastic struct {
	server *httputil.ReverseProxy // to the OpenSearch that stores the documents

	mu       sync.Mutex
	Users    map[string]user
	Roles    map[string]role
	Policies map[string]json.RawMessage
}

type user struct {
	Password string
	Roles    []string
}

type role struct {
	Cluster []string
	Indices []struct{ Names, Privileges []string }
}

// elasticsearch starts OpenSearch on a port of its own and serves on the port of
// Elasticsearch until it is told to stop.
func elasticsearch() error {
	cmd := search(elasticHome, os.Getenv("ES_JAVA_OPTS"),
		"cluster.name=docker-cluster", "discovery.type=single-node", "http.port=9250", "network.host=127.0.0.1",
		"cluster.routing.allocation.disk.threshold_enabled=false")
	if err := cmd.Start(); err != nil {
		return err
	}
	e := &elastic{
		server:   httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:9250"}),
		Users:    map[string]user{"elastic": {os.Getenv("ELASTIC_PASSWORD"), []string{"superuser"}}, "kibana_system": {"", []string{"kibana_system"}}},
		Roles:    map[string]role{"superuser": {Cluster: []string{"all"}}, "kibana_system": {Cluster: []string{"monitor"}}},
		Policies: map[string]json.RawMessage{},
	}
	if text, err := os.ReadFile(accountFile); err == nil {
		if err := json.Unmarshal(text, e); err != nil {
			return err
		}
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-stop
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}()
	go func() { fail(http.ListenAndServe("0.0.0.0:9200", e)) }()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 128+int(syscall.SIGTERM) {
		return nil
	}
	return err
}

// ServeHTTP asks for a password and a privilege, answers what OpenSearch does not know,
// and passes on the rest.
func (e *elastic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	name, password, _ := r.BasicAuth()
	e.mu.Lock()
	u, known := e.Users[name]
	e.mu.Unlock()
	if !known || password == "" || u.Password != password {
		refuse(w, http.StatusUnauthorized, "security_exception", "unable to authenticate user ["+name+"]")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if why := e.forbidden(u, r, body); why != "" {
		refuse(w, http.StatusForbidden, "security_exception", "action is unauthorized for user ["+name+"]: "+why)
		return
	}
	switch {
	case r.URL.Path == "/":
		answer(w, map[string]any{"cluster_name": "docker-cluster", "tagline": "You Know, for Search",
			"version": map[string]string{"number": "8.19.4", "build_flavor": "default"}})
		return
	case strings.HasPrefix(r.URL.Path, "/_security/"), strings.HasPrefix(r.URL.Path, "/_ilm/policy/"):
		e.administer(w, r, body)
		return
	case strings.HasPrefix(r.URL.Path, "/_index_template/") && r.Method == http.MethodPut:
		if body, err = translate(body); err != nil {
			refuse(w, http.StatusBadRequest, "parsing_exception", err.Error())
			return
		}
	}
	r.Header.Del("Authorization")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	e.server.ServeHTTP(w, r)
}

// forbidden returns what u lacks for the request, or nothing.
func (e *elastic) forbidden(u user, r *http.Request, body []byte) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	cluster, write := map[string]bool{}, false
	for _, name := range u.Roles {
		for _, c := range e.Roles[name].Cluster {
			cluster[c] = true
		}
		for _, i := range e.Roles[name].Indices {
			write = write || slices.Contains(i.Privileges, "create_doc") && slices.Contains(i.Privileges, "auto_configure")
		}
	}
	need := "superuser"
	switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); {
	case cluster["all"]:
		return ""
	case first == "" || first == "_cluster":
		need = "monitor"
	case first == "_index_template":
		need = "manage_index_templates"
	case first == "_ilm":
		need = "manage_ilm"
	case path.Base(r.URL.Path) == "_bulk" && write && !bytes.HasPrefix(body, []byte(`{"index"`)):
		return ""
	case write && (r.Method == http.MethodGet || r.Method == http.MethodHead) && (first == "_data_stream" || strings.HasPrefix(first, "logs-fortinet.fortiems")):
		return ""
	}
	if cluster[need] {
		return ""
	}
	return r.Method + " " + r.URL.Path + " needs " + need
}

// administer answers what Elasticsearch has and the core of OpenSearch has not.
func (e *elastic) administer(w http.ResponseWriter, r *http.Request, body []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := path.Base(strings.TrimSuffix(r.URL.Path, "/_password"))
	var err error
	switch at := path.Dir(r.URL.Path); {
	case at == "/_ilm/policy" && r.Method == http.MethodGet:
		p, ok := e.Policies[name]
		if !ok {
			refuse(w, http.StatusNotFound, "resource_not_found_exception", "Lifecycle policy not found: "+name)
			return
		}
		answer(w, map[string]any{name: p})
		return
	case at == "/_ilm/policy" && r.Method == http.MethodPut:
		e.Policies[name] = body
	case at == "/_security/role" && r.Method == http.MethodPut:
		var got role
		err = json.Unmarshal(body, &got)
		e.Roles[name] = got
	case at == "/_security/user" && r.Method == http.MethodPut, path.Base(r.URL.Path) == "_password" && r.Method == http.MethodPost:
		got := e.Users[name]
		err = json.Unmarshal(body, &got)
		e.Users[name] = got
	case at == "/_security" && name == "_authenticate":
	default:
		refuse(w, http.StatusMethodNotAllowed, "illegal_argument_exception", r.Method+" "+r.URL.Path)
		return
	}
	if err == nil {
		var text []byte
		if text, err = json.Marshal(e); err == nil {
			err = os.WriteFile(accountFile, text, 0o600)
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "parsing_exception", err.Error())
		return
	}
	answer(w, map[string]any{"acknowledged": true})
}

// translate replaces what OpenSearch names otherwise in an index template.
func translate(body []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	if t, ok := doc["template"].(map[string]any); ok {
		if s, ok := t["settings"].(map[string]any); ok {
			if index, ok := s["index"].(map[string]any); ok {
				delete(index, "lifecycle")
			}
		}
	}
	text, err := json.Marshal(doc)
	// Keys of maps are sorted; flat_object has no ignore_above.
	return bytes.ReplaceAll(text, []byte(`"ignore_above":1024,"type":"flattened"`), []byte(`"type":"flat_object"`)), err
}

func answer(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc)
}

func refuse(w http.ResponseWriter, status int, kind, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "error": map[string]string{"type": kind, "reason": reason}})
}
