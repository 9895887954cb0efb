// Package fakees is a strict fake of the bulk endpoint of Elasticsearch and
// OpenSearch for tests. It stores documents in memory, answers 409 to a create
// whose id exists, records everything in a request that a real server would reject,
// and lets a test replace any response, or break the connection, before or after the
// documents are stored.
package fakees

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Doc is a document of a bulk request.
type Doc struct {
	Index, ID string
	Source    json.RawMessage
}

// Request is a bulk request that passed the checks.
type Request struct {
	Number int // from 0
	Docs   []Doc
	Bytes  int // of the body, uncompressed
	Header http.Header
	Host   string
	Filter string // filter_path

	Timeout time.Duration // that the server is asked to end by, 0: none
}

// Item is the response for one document.
type Item struct {
	Index, ID    string
	Status       int
	Type, Reason string
	// FailureStore is the field failure_store of Elasticsearch 9.1 and later. With
	// "used" the document is stored in the failure store, under a generated id.
	FailureStore string
}

// FailureStore is the backing index of the failure store of a data stream.
func FailureStore(stream string) string { return ".fs-" + stream + "-000001" }

// Reply replaces the normal response to a bulk request. The zero value stores nothing
// and answers 200 with an empty body.
type Reply struct {
	Store  bool // first store the documents, as without a script
	Status int  // 0 means 200
	Header map[string]string
	Body   string
	// Edit changes the items of the response, in place of Status and Body. Documents
	// whose status remains 201 are stored.
	Edit func(items []Item) []Item
	// Cut closes the connection after this many bytes of the body; 0 sends all.
	Cut int
	// Hangup closes the connection without a response.
	Hangup bool
	// Hang responds only when the client disconnects or the server closes.
	Hang bool
}

// Server is a running fake. Its methods are safe for concurrent use.
type Server struct {
	*httptest.Server

	mu       sync.Mutex
	docs     map[string]map[string]json.RawMessage
	order    []Doc // as stored
	requests []Request
	faults   []string
	next     int
	script   func(r *Request) *Reply
	item     func(d *Doc) *Item
	user     string
	other    http.Handler
	gone     chan struct{}
}

// New starts a server.
func New() *Server {
	s := NewUnstarted()
	s.Start()
	return s
}

// NewUnstarted returns a server that is not started, so that TLS can be set up.
func NewUnstarted() *Server {
	s := &Server{docs: make(map[string]map[string]json.RawMessage), gone: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(s)
	return s
}

// Close ends the server and every hanging request.
func (s *Server) Close() {
	close(s.gone)
	s.CloseClientConnections()
	s.Server.Close()
}

// Script sets the function that answers bulk requests. Without one, or if it returns
// nil, the response is the normal one.
func (s *Server) Script(f func(r *Request) *Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = f
}

// Answer sets the function that answers single documents that are not stored yet.
// Without one, or if it returns nil, they are stored. It is called with the server locked.
func (s *Server) Answer(f func(d *Doc) *Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.item = f
}

// Authorization makes the server require this Authorization header.
func (s *Server) Authorization(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = value
}

// Other sets the handler of requests that are not bulk requests. Without one they
// are faults.
func (s *Server) Other(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.other = h
}

// Stored returns all documents of an index in order of arrival.
func (s *Server) Stored(index string) []Doc {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Doc
	for _, d := range s.order {
		if d.Index == index {
			list = append(list, d)
		}
	}
	return list
}

// Indices returns the number of documents per index.
func (s *Server) Indices() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := make(map[string]int)
	for index, docs := range s.docs {
		n[index] = len(docs)
	}
	return n
}

// Requests returns the bulk requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Faults returns everything that a real server would have rejected.
func (s *Server) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.faults...)
}

func (s *Server) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	user, other := s.user, s.other
	s.mu.Unlock()
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	if user != "" && r.Header.Get("Authorization") != user {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}`)
		return
	}
	if r.URL.Path != "/_bulk" {
		if other != nil {
			other.ServeHTTP(w, r)
			return
		}
		if bootstrap(w, r) {
			return
		}
		s.fault("%s %s", r.Method, r.URL.Path)
		http.NotFound(w, r)
		return
	}
	req, err := readBulk(r)
	if err != nil {
		s.fault("%v", err)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"type":"illegal_argument_exception","reason":%q},"status":400}`, err)
		return
	}
	s.mu.Lock()
	req.Number = len(s.requests)
	s.requests = append(s.requests, *req)
	script := s.script
	s.mu.Unlock()
	var reply *Reply
	if script != nil {
		reply = script(req)
	}
	s.answer(w, r, req, reply)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, req *Request, reply *Reply) {
	if reply == nil {
		writeItems(w, req.filtered(s.store(req.Docs)))
		return
	}
	var items []Item
	if reply.Edit != nil {
		var left []Doc
		planned := s.plan(req.Docs)
		items = reply.Edit(append([]Item(nil), planned...))
		for i := range items {
			if i < len(req.Docs) && items[i].Status == 201 {
				left = append(left, req.Docs[i])
			}
		}
		s.store(left)
	} else if reply.Store {
		items = s.store(req.Docs)
	}
	switch {
	case reply.Hang:
		select {
		case <-r.Context().Done():
		case <-s.gone:
		case <-time.After(time.Minute):
		}
		panic(http.ErrAbortHandler)
	case reply.Hangup:
		panic(http.ErrAbortHandler)
	}
	for k, v := range reply.Header {
		w.Header().Set(k, v)
	}
	body := reply.Body
	if reply.Edit != nil || reply.Store && body == "" {
		var b bytes.Buffer
		render(&b, req.filtered(items))
		body = b.String()
	}
	if reply.Cut > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		body = body[:min(reply.Cut, len(body))]
	}
	if reply.Status != 0 {
		w.WriteHeader(reply.Status)
	}
	_, _ = io.WriteString(w, body)
	if reply.Cut > 0 {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// filtered keeps only what the filter_path of the request names.
func (r *Request) filtered(items []Item) []Item {
	if r.Filter != "" && !strings.Contains(r.Filter, "items.*.failure_store") {
		for i := range items {
			items[i].FailureStore = ""
		}
	}
	return items
}

// plan returns the items that store would return, without storing.
func (s *Server) plan(docs []Doc) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make([]Item, len(docs))
	for i := range docs {
		items[i] = s.decide(&docs[i])
	}
	return items
}

// store stores documents and returns an item for each.
func (s *Server) store(docs []Doc) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make([]Item, len(docs))
	for i := range docs {
		d := docs[i]
		items[i] = s.decide(&d)
		if items[i].Status != 201 {
			continue
		}
		if items[i].FailureStore == "used" {
			d.Index, d.ID = items[i].Index, items[i].ID
		}
		if d.ID == "" {
			s.next++
			d.ID = fmt.Sprintf("generated-%d", s.next)
			items[i].ID = d.ID
		}
		if s.docs[d.Index] == nil {
			s.docs[d.Index] = make(map[string]json.RawMessage)
		}
		s.docs[d.Index][d.ID] = d.Source
		s.order = append(s.order, d)
	}
	return items
}

// decide is called with the lock held.
func (s *Server) decide(d *Doc) Item {
	it := Item{Index: d.Index, ID: d.ID, Status: 201}
	if _, there := s.docs[d.Index][d.ID]; there && d.ID != "" {
		it.Status, it.Type, it.Reason = 409, "version_conflict_engine_exception", "document already exists"
		return it
	}
	if s.item != nil {
		if own := s.item(d); own != nil {
			it.Status, it.Type, it.Reason, it.FailureStore = own.Status, own.Type, own.Reason, own.FailureStore
		}
	}
	if it.FailureStore == "used" {
		s.next++
		it.Index, it.ID = FailureStore(d.Index), fmt.Sprintf("generated-%d", s.next)
	}
	return it
}

func writeItems(w io.Writer, items []Item) {
	b := bufio.NewWriter(w)
	defer b.Flush()
	render(b, items)
}

// render writes a response as Elasticsearch 8 does without a filter_path, including
// fields that clients ignore.
func render(w io.Writer, items []Item) {
	failed := false
	for _, it := range items {
		failed = failed || it.Status > 299
	}
	fmt.Fprintf(w, `{"took":3,"errors":%v,"ingest_took":0,"items":[`, failed)
	for i, it := range items {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		id, _ := json.Marshal(it.ID)
		store := ""
		if it.FailureStore != "" {
			store = fmt.Sprintf(`,"failure_store":%q`, it.FailureStore)
		}
		if it.Status < 300 {
			fmt.Fprintf(w, `{"create":{"_index":%q,"_id":%s,"_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":%d,"_primary_term":1,"status":%d%s}}`,
				it.Index, id, i, it.Status, store)
			continue
		}
		kind, _ := json.Marshal(it.Type)
		reason, _ := json.Marshal(it.Reason)
		fmt.Fprintf(w, `{"create":{"_index":%q,"_id":%s,"status":%d,"error":{"type":%s,"reason":%s,"index_uuid":"x","shard":"0","caused_by":{"type":"illegal_argument_exception","reason":"the \"cause\""}}%s}}`,
			it.Index, id, it.Status, kind, reason, store)
	}
	fmt.Fprint(w, "]}")
}

// readBulk reads a request as strictly as a real server, and rejects more: anything
// that the server would silently drop or change is an error too.
func readBulk(r *http.Request) (*Request, error) {
	if r.Method != http.MethodPost {
		return nil, fmt.Errorf("method %s", r.Method)
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/x-ndjson" && ct != "application/json" {
		return nil, fmt.Errorf("content type %q", ct)
	}
	if r.ContentLength < 0 {
		return nil, fmt.Errorf("no content length")
	}
	body := io.Reader(r.Body)
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "":
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		body = z
	default:
		return nil, fmt.Errorf("content encoding %q", enc)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	docs, err := Parse(text)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(r.Host)
	var timeout time.Duration
	if text := r.URL.Query().Get("timeout"); text != "" {
		if timeout, err = time.ParseDuration(text); err != nil || timeout <= 0 {
			return nil, fmt.Errorf("timeout %q", text)
		}
	}
	return &Request{Timeout: timeout, Docs: docs, Bytes: len(text), Header: r.Header.Clone(), Host: host, Filter: r.URL.Query().Get("filter_path")}, nil
}

// Parse reads the body of a bulk request that only creates documents.
func Parse(text []byte) ([]Doc, error) {
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return nil, fmt.Errorf("the body is empty or does not end with a newline")
	}
	lines := strings.Split(string(text[:len(text)-1]), "\n")
	if len(lines)%2 != 0 {
		return nil, fmt.Errorf("%d lines", len(lines))
	}
	var docs []Doc
	for i := 0; i < len(lines); i += 2 {
		var action map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		d := json.NewDecoder(strings.NewReader(lines[i]))
		d.DisallowUnknownFields()
		if err := d.Decode(&action); err != nil || len(action) != 1 {
			return nil, fmt.Errorf("line %d: no action: %v", i+1, err)
		}
		create, ok := action["create"]
		if !ok || create.Index == "" {
			return nil, fmt.Errorf("line %d: no create with an index", i+1)
		}
		if err := checkDocument(lines[i+1]); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		docs = append(docs, Doc{Index: create.Index, ID: create.ID, Source: json.RawMessage(lines[i+1])})
	}
	return docs, nil
}

// checkDocument checks for a JSON object with a valid @timestamp, no duplicate keys
// and no field names that Elasticsearch rejects.
func checkDocument(line string) error {
	if !json.Valid([]byte(line)) {
		return fmt.Errorf("no JSON")
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if tok, _ := d.Token(); tok != json.Delim('{') {
		return fmt.Errorf("no object")
	}
	if err := checkObject(d, true); err != nil {
		return err
	}
	var top struct {
		Time string `json:"@timestamp"`
	}
	if err := json.Unmarshal([]byte(line), &top); err != nil {
		return err
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000000000Z", top.Time); err != nil {
		return fmt.Errorf("@timestamp: %w", err)
	}
	return nil
}

func checkObject(d *json.Decoder, top bool) error {
	seen := make(map[string]bool)
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		key := tok.(string)
		if seen[key] {
			return fmt.Errorf("duplicate key %q", key)
		}
		seen[key] = true
		for _, part := range strings.Split(key, ".") {
			if strings.TrimSpace(part) == "" {
				return fmt.Errorf("name %q", key)
			}
		}
		if top && (key == "_id" || key == "_index" || key == "_source" || key == "_type" || key == "_routing") {
			return fmt.Errorf("name %q", key)
		}
		if err := checkValue(d); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func checkValue(d *json.Decoder) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('{'):
		return checkObject(d, false)
	case json.Delim('['):
		for d.More() {
			if err := checkValue(d); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

// bootstrap answers the requests that an output sends before its first documents, as a
// server with nothing installed that accepts everything.
func bootstrap(w http.ResponseWriter, r *http.Request) bool {
	resource := strings.HasPrefix(r.URL.Path, "/_index_template/") || strings.HasPrefix(r.URL.Path, "/_ilm/policy/")
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/":
		fmt.Fprint(w, `{"version":{"number":"8.19.0"},"tagline":"You Know, for Search"}`)
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/_data_stream/"):
		fmt.Fprintf(w, `{"data_streams":[{"name":%q}]}`, strings.TrimPrefix(r.URL.Path, "/_data_stream/"))
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/_mapping"):
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`)
	case r.Method == http.MethodGet && resource:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"type":"resource_not_found_exception","reason":"not found"},"status":404}`)
	case r.Method == http.MethodPut && resource:
		fmt.Fprint(w, `{"acknowledged":true}`)
	default:
		return false
	}
	return true
}
