package option

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// OutputConfig is the decoded configuration of one output instance.
type OutputConfig struct {
	Hosts                               []string
	CloudID, APIKey, Username, Password string
	CAFile, CAFingerprint               string
	ClientCertFile, ClientKeyFile       string
	TLSVerify                           bool
	DataStream, Index                   string // one of the two; Index wins when it is set
	GenerateID                          bool
	BulkMaxBytes                        int64
	BulkMaxDocs                         int
	Gzip                                bool
	FlushTimeout                        time.Duration
	DeadLetterIndex, DeadLetterFile     string // both empty: dead letters are counted, logged and dropped
	Bootstrap                           bool
	Product                             string // auto, elasticsearch or opensearch
	MetricsListen                       string
}

var outputTable = []Option{
	{Key: "hosts", Type: List, Default: "http://127.0.0.1:9200", check: checkURLs, show: withoutLogin,
		Valid: "http:// or https:// URLs separated by commas",
		Text:  "Servers, used in turn; one that fails is rested."},
	{Key: "cloud_id", Type: Text, Valid: "the cloud id as the Elastic console shows it",
		Text: "Elastic Cloud deployment to ship to instead of hosts."},
	{Key: "api_key", Type: Text, Secret: true, Valid: "an API key",
		Text: "API key, base64 as Elasticsearch hands it out; ${ENV} is expanded and the value never appears in a log."},
	{Key: "username", Type: Text, Valid: "a user name",
		Text: "User for basic authentication."},
	{Key: "password", Type: Text, Secret: true, Valid: "a password",
		Text: "Password for basic authentication; ${ENV} is expanded and the value never appears in a log."},
	{Key: "ca_file", Type: Text, Valid: "the path of a readable PEM file",
		Text: "PEM file with the certificate authorities the servers are checked against."},
	{Key: "ca_fingerprint", Type: Text, check: checkFingerprint, Valid: "64 hexadecimal digits, with or without colons",
		Text: "SHA-256 fingerprint of the authority that signed the servers' certificates."},
	{Key: "client_cert_file", Type: Text, Valid: "the path of a readable PEM file",
		Text: "PEM file with the client certificate; needs client_key_file."},
	{Key: "client_key_file", Type: Text, Valid: "the path of a readable PEM file",
		Text: "PEM file with the key of the client certificate."},
	{Key: "tls_verify", Type: Bool, Default: "on", check: checkBy(parseBool), Valid: validBool,
		Text: "Check the servers' certificates."},
	{Key: "data_stream", Type: Text, Default: "logs-fortinet.fortiems-default", check: checkTarget, Valid: "a data stream name",
		Text: "Data stream to write to."},
	{Key: "index", Type: Text, check: checkTarget, Valid: "an index name",
		Text: "Index to write to instead of a data stream, with strftime (fortiems-%Y.%m.%d) and {field.path}."},
	{Key: "generate_id", Type: Bool, Default: "on", check: checkBy(parseBool), Valid: validBool,
		Text: "Give every document a deterministic _id, so that a chunk sent again overwrites itself instead of duplicating."},
	{Key: "bulk_max_bytes", Type: Size, Default: "5M", check: checkBy(parseSize), Valid: "a size such as 5M, at most 2147483647 bytes",
		Text: "Most bytes of one bulk request before compression."},
	{Key: "bulk_max_docs", Type: Count, Default: "5000", check: checkBy(parseCount), Valid: "a whole number above 0",
		Text: "Most documents of one bulk request."},
	{Key: "compress", Type: Text, Default: "gzip", check: oneOf("gzip", "off"), Valid: "gzip, off",
		Text: "Compression of requests."},
	{Key: "flush_timeout", Type: Time, Default: "30s", check: checkBy(parseTime), Valid: "a time such as 30s, from 1s to 24h",
		Text: "Everything in one flush ends by then; what is undelivered is handed back for another try."},
	{Key: "dead_letter", Type: Text, Default: "index:logs-fortinet.fortiems.dead_letter-default", check: checkDeadLetter,
		Valid: "index:NAME, file:PATH, off",
		Text:  "Where permanently rejected documents go: index:NAME, file:PATH (NDJSON, rotated), or off (counted, logged, dropped)."},
	{Key: "bootstrap", Type: Bool, Default: "on", check: checkBy(parseBool), Valid: validBool,
		Text: "Install index template, lifecycle policy and dead-letter template where they are absent or older."},
	{Key: "product", Type: Text, Default: "auto", check: oneOf("auto", "elasticsearch", "opensearch"),
		Valid: "auto, elasticsearch, opensearch",
		Text:  "Product behind hosts; auto asks the server."},
	{Key: "metrics_listen", Type: Text, check: checkAddr, Valid: validAddr,
		Text: "Address for Prometheus counters, e.g. 127.0.0.1:2112; shared with the filter if both name the same one."},
}

// Output returns the options of the output in the order of the documentation.
// The slice is the caller's.
func Output() []Option { return slices.Clone(outputTable) }

// ParseOutput decodes and checks the options of one output instance, as
// ParseFilter does for the filter. It opens no file and no connection.
func ParseOutput(get func(key string) string) (OutputConfig, error) {
	v, err := values(outputTable, get)
	c := OutputConfig{
		CloudID: v["cloud_id"], APIKey: v["api_key"], Username: v["username"], Password: v["password"],
		CAFile: v["ca_file"], CAFingerprint: v["ca_fingerprint"],
		ClientCertFile: v["client_cert_file"], ClientKeyFile: v["client_key_file"],
		DataStream: v["data_stream"], Index: v["index"],
		Gzip:          strings.EqualFold(v["compress"], "gzip"),
		Product:       strings.ToLower(v["product"]),
		MetricsListen: v["metrics_listen"],
	}
	// A value that its check refused, which err reports, decodes to its zero value.
	c.Hosts, _ = parseList(v["hosts"])
	c.TLSVerify, _ = parseBool(v["tls_verify"])
	c.GenerateID, _ = parseBool(v["generate_id"])
	c.Bootstrap, _ = parseBool(v["bootstrap"])
	c.BulkMaxBytes, _ = parseSize(v["bulk_max_bytes"])
	c.BulkMaxDocs, _ = parseCount(v["bulk_max_docs"])
	c.FlushTimeout, _ = parseTime(v["flush_timeout"])
	switch kind, rest, _ := strings.Cut(v["dead_letter"], ":"); kind {
	case "index":
		c.DeadLetterIndex = rest
	case "file":
		c.DeadLetterFile = rest
	}
	return c, errors.Join(err, pairs(c), strangers(get))
}

// ofOthers are options of Fluent Bit's es and opensearch outputs that users bring along,
// with ours. The host keeps some to itself (host, port, tls); the others it hands over.
var ofOthers = []struct{ key, instead string }{
	{"host", "hosts"}, {"port", "hosts"}, {"path", "hosts (http://host:port/path)"}, {"tls", "hosts (https://)"}, {"tls.verify", "tls_verify"}, {"tls.ca_file", "ca_file"},
	{"tls.crt_file", "client_cert_file"}, {"tls.key_file", "client_key_file"}, {"http_user", "username"}, {"http_passwd", "password"}, {"http_api_key", "api_key"},
	{"cloud_auth", "username and password"}, {"logstash_format", "index (fortiems-%Y.%m.%d)"}, {"logstash_prefix", "index (fortiems-%Y.%m.%d)"},
	{"logstash_prefix_key", "index (fortiems-{field}-%Y.%m.%d)"}, {"logstash_dateformat", "index (fortiems-%Y.%m.%d)"}, {"type", "nothing: types are gone"},
	{"suppress_type_name", "nothing: no type is ever sent"}, {"id_key", "generate_id"}, {"write_operation", "nothing: it is always create"},
	{"pipeline", "index.default_pipeline in an index template"}, {"time_key", "nothing: it is @timestamp"}, {"buffer_size", "nothing: answers are read as they come"},
	{"replace_dots", "nothing: dots are understood"}, {"trace_error", "nothing: errors are logged"}, {"aws_auth", "a proxy that signs requests"},
}

// strangers refuses options of other outputs.
func strangers(get func(key string) string) error {
	var errs []error
	for _, o := range ofOthers {
		if get(o.key) != "" {
			errs = append(errs, fmt.Errorf("%s: it is an option of other outputs; use %s", o.key, o.instead))
		}
	}
	return errors.Join(errs...)
}

// pairs checks the options that only make sense together.
func pairs(c OutputConfig) error {
	var errs []error
	if (c.ClientCertFile == "") != (c.ClientKeyFile == "") {
		errs = append(errs, errors.New("client_cert_file and client_key_file: one is set without the other; valid: both or neither"))
	}
	if (c.Username == "") != (c.Password == "") {
		errs = append(errs, errors.New("username and password: one is set without the other; valid: both or neither"))
	}
	if c.APIKey != "" && c.Username != "" {
		errs = append(errs, errors.New("api_key and username: both are set; valid: one way to log in"))
	}
	return errors.Join(errs...)
}
