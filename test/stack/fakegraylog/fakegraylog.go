// Package fakegraylog is as much of Graylog's API as the stack asks for, and a GELF input that
// keeps messages in memory. It is written after the sources of Graylog 6.3 and refuses what
// they refuse. It shows that requests follow each other in the right order, not how
// Graylog behaves.
package fakegraylog

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// Server is a fake. Version and PasswordHash have to be set before it is used.
type Server struct {
	Version      string // such as 6.3.7
	PasswordHash string // of the user admin: SHA-256 in hexadecimal

	mu        sync.Mutex
	sets      []map[string]any
	mapped    map[string]any // the field whose type was chosen
	packs     map[string]json.RawMessage
	installed []map[string]any
	target    string // index set of the stream
	running   bool   // the stream
	messages  []map[string]any
}

const (
	streamID = "000000000000000000000001"
	setID    = "000000000000000000000002"
)

// Handler serves the API.
func (s *Server) Handler() http.Handler {
	s.sets = []map[string]any{{"id": "000000000000000000000000", "title": "Default", "index_prefix": "graylog", "default": true, "shards": 1, "replicas": 0,
		"rotation_strategy_class": "c", "rotation_strategy": map[string]any{}, "retention_strategy_class": "c", "retention_strategy": map[string]any{},
		"index_analyzer": "standard", "index_optimization_max_num_segments": 1, "index_optimization_disabled": false,
		"field_type_refresh_interval": 5000, "can_be_default": true, "data_tiering": nil}}
	s.packs = map[string]json.RawMessage{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/system/lbstatus", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ALIVE") })
	for pattern, answer := range map[string]func(*http.Request, []byte) (int, any){
		"GET /api/system":                                         func(*http.Request, []byte) (int, any) { return 200, map[string]string{"version": s.Version} },
		"GET /api/system/indices/index_sets":                      func(*http.Request, []byte) (int, any) { return 200, map[string]any{"index_sets": s.sets} },
		"POST /api/system/indices/index_sets":                     s.createSet,
		"PUT /api/system/indices/mappings":                        s.mapField,
		"GET /api/system/content_packs/{id}/{rev}":                s.pack,
		"POST /api/system/content_packs":                          s.upload,
		"GET /api/system/content_packs/{id}/installations":        func(*http.Request, []byte) (int, any) { return 200, map[string]any{"installations": s.installed} },
		"POST /api/system/content_packs/{id}/{rev}/installations": s.install,
		"PUT /api/streams/indexSet/{set}":                         s.assign,
		"POST /api/streams/" + streamID + "/resume":               func(*http.Request, []byte) (int, any) { s.running = true; return 204, nil },
		"POST /api/search/aggregate":                              s.aggregate,
	} {
		mux.HandleFunc(pattern, s.serve(answer))
	}
	return mux
}

// serve asks for the password and for the header against forged requests.
func (s *Server) serve(answer func(*http.Request, []byte) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "admin" || fmt.Sprintf("%x", sha256.Sum256([]byte(password))) != s.PasswordHash {
			http.Error(w, "not logged in", http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodGet && r.Header.Get("X-Requested-By") == "" {
			http.Error(w, "CSRF protection header is missing. Please add a \"X-Requested-By\" header to your request.", http.StatusBadRequest)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		status, into := answer(r, body)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if into != nil {
			_ = json.NewEncoder(w).Encode(into)
		}
	}
}

// refuse is the form of Graylog's errors.
func refuse(status int, format string, args ...any) (int, any) {
	return status, map[string]string{"type": "ApiError", "message": fmt.Sprintf(format, args...)}
}

func (s *Server) createSet(_ *http.Request, body []byte) (int, any) {
	var set map[string]any
	if err := json.Unmarshal(body, &set); err != nil {
		return refuse(400, "%v", err)
	}
	for _, name := range []string{"title", "index_prefix", "shards", "rotation_strategy_class", "rotation_strategy", "retention_strategy_class", "retention_strategy", "index_analyzer"} {
		if set[name] == nil {
			return refuse(400, "%s must not be null", name)
		}
	}
	for _, other := range s.sets {
		if other["index_prefix"] == set["index_prefix"] {
			return refuse(400, "Index prefix %q would conflict with an existing index set", set["index_prefix"])
		}
	}
	set["id"] = setID
	s.sets = append(s.sets, set)
	return 200, set
}

func (s *Server) mapField(_ *http.Request, body []byte) (int, any) {
	if err := json.Unmarshal(body, &s.mapped); err != nil || fmt.Sprint(s.mapped["index_sets"]) != "["+setID+"]" {
		return refuse(400, "mapping %s", body)
	}
	return 200, map[string]any{}
}

func (s *Server) pack(r *http.Request, _ []byte) (int, any) {
	if text, ok := s.packs[r.PathValue("id")+"/"+r.PathValue("rev")]; ok {
		return 200, map[string]any{"content_pack": text}
	}
	return refuse(404, "Content pack %s with revision %s not found!", r.PathValue("id"), r.PathValue("rev"))
}

func (s *Server) upload(_ *http.Request, body []byte) (int, any) {
	var pack struct {
		V   int
		ID  string
		Rev int
	}
	if err := json.Unmarshal(body, &pack); err != nil || pack.V != 1 {
		return refuse(400, "no content pack: %v", err)
	}
	key := fmt.Sprintf("%s/%d", pack.ID, pack.Rev)
	if s.packs[key] != nil {
		return refuse(400, "Content pack with id %s already exists.", key)
	}
	s.packs[key] = bytes.Clone(body)
	return 201, map[string]any{"id": pack.ID, "rev": pack.Rev}
}

func (s *Server) install(r *http.Request, body []byte) (int, any) {
	if s.packs[r.PathValue("id")+"/"+r.PathValue("rev")] == nil {
		return refuse(404, "no such content pack")
	}
	var request map[string]json.RawMessage
	if err := json.Unmarshal(body, &request); err != nil || (request["entity"] != nil) != strings.HasPrefix(s.Version, "7.") {
		return refuse(400, "Graylog %s does not understand %s", s.Version, body)
	}
	i := map[string]any{"entities": []any{map[string]any{"id": streamID, "type": map[string]string{"name": "stream", "version": "1"}},
		map[string]any{"id": "000000000000000000000003", "type": map[string]string{"name": "input", "version": "1"}}}}
	s.installed = append(s.installed, i)
	return 200, i
}

func (s *Server) assign(r *http.Request, body []byte) (int, any) {
	var streams []string
	if err := json.Unmarshal(body, &streams); err != nil || len(streams) != 1 || streams[0] != streamID || r.PathValue("set") != setID || len(s.installed) == 0 {
		return refuse(404, "streams %s, index set %s", body, r.PathValue("set"))
	}
	s.target = r.PathValue("set")
	return 200, nil
}

func (s *Server) aggregate(_ *http.Request, body []byte) (int, any) {
	var q struct {
		Group   []struct{ Field string } `json:"group_by"`
		Metrics []struct{ Function string }
	}
	if err := json.Unmarshal(body, &q); err != nil || len(q.Group) != 1 || len(q.Metrics) != 1 || q.Metrics[0].Function != "count" {
		return refuse(400, "aggregation %s", body)
	}
	counts := map[string]int{}
	for _, m := range s.messages {
		counts[fmt.Sprint(m["_"+q.Group[0].Field])]++
	}
	rows := [][]any{}
	for name, n := range counts {
		rows = append(rows, []any{name, n})
	}
	return 200, map[string]any{"datarows": rows}
}

// Ready reports whether the stream of the installed pack runs and writes to its own index set,
// in which the one field has a type.
func (s *Server) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.installed) == 1 && s.running && s.target == setID && s.mapped["field"] == "fortinet_ems_date" && s.mapped["type"] == "string"
}

// Messages returns what the input has taken.
func (s *Server) Messages() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

// ServeGELF is the input of the pack: GELF over TCP, a zero byte after each message. It drops
// what Graylog refuses, and takes nothing before Ready, as Graylog without an input.
func (s *Server) ServeGELF(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if !s.Ready() {
			c.Close()
			continue
		}
		go s.read(c)
	}
}

func (s *Server) read(c net.Conn) {
	defer c.Close()
	for r := bufio.NewReaderSize(c, 1<<20); ; {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m map[string]any
		if json.Unmarshal(text[:len(text)-1], &m) != nil || m["_event_module"] != "fortinet" {
			continue
		}
		// A missing host is only a warning (GelfDecoder.java).
		host, there := m["host"]
		if text, ok := host.(string); there && (!ok || strings.TrimSpace(text) == "") {
			continue
		}
		if text, ok := m["short_message"].(string); !ok || strings.TrimSpace(text) == "" {
			continue
		}
		s.mu.Lock()
		s.messages = append(s.messages, m)
		s.mu.Unlock()
	}
}
