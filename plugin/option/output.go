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

// DefaultHost is the default of hosts.
const DefaultHost = "http://127.0.0.1:9200"

var outputTable = []Option{
	{Key: "hosts", Type: List, Default: DefaultHost, check: checkURLs, show: withoutLogin,
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
// with what to write instead. Fluent Bit hands them over, but keeps some to itself: host,
// port, ipv6, tls and tls.* (and refuses tls on, because no Go output can have it), seen
// with 5.1.1 and 4.2.8. They are asked for all the same, for hosts that hand them over.
var ofOthers = []struct{ key, instead string }{
	{"host", "use hosts (http://host:port)"}, {"port", "use hosts (http://host:port)"}, {"path", "use hosts (http://host:port/path)"},
	{"upstream", "use hosts (several, separated by commas)"}, {"tls", "use hosts (https://)"}, {"tls.verify", "use tls_verify"}, {"tls.ca_file", "use ca_file"},
	{"tls.crt_file", "use client_cert_file"}, {"tls.key_file", "use client_key_file"}, {"http_user", "use username"}, {"http_passwd", "use password"},
	{"http_api_key", "use api_key"}, {"cloud_auth", "use username and password"}, {"logstash_format", useIndex}, {"logstash_prefix", useIndex},
	{"logstash_prefix_separator", useIndex}, {"logstash_dateformat", useIndex}, {"logstash_prefix_key", "use index (fortiems-{field}-%Y.%m.%d)"},
	{"current_time_index", "use index; its time is that of the record"}, {"type", "leave it out, types are gone"},
	{"suppress_type_name", "leave it out, no type is ever sent"}, {"id_key", "use generate_id"}, {"write_operation", "leave it out, it is always create"},
	{"pipeline", "set index.default_pipeline in an index template"}, {"time_key", "leave it out, it is @timestamp"},
	{"time_key_format", "leave it out, it is RFC 3339"}, {"time_key_nanos", "leave it out, times have nanoseconds"},
	{"include_tag_key", useModify}, {"tag_key", useModify}, {"buffer_size", "leave it out, answers are read as they come"},
	{"replace_dots", "leave it out, dots are understood"}, {"trace_error", "leave it out, errors are logged"}, {"trace_output", "leave it out, requests are never logged"},
	{"aws_auth", useSigner}, {"aws_region", useSigner}, {"aws_role_arn", useSigner}, {"aws_sts_endpoint", useSigner}, {"aws_external_id", useSigner},
	{"aws_service_name", useSigner}, {"aws_profile", useSigner},
}

const (
	useIndex  = "use index (fortiems-%Y.%m.%d)"
	useModify = "add the tag with a filter, such as Fluent Bit's lua"
	useSigner = "use a proxy that signs requests, and name it in hosts"
)

// strangers refuses options of other outputs.
func strangers(get func(key string) string) error {
	var errs []error
	for _, o := range ofOthers {
		if get(o.key) != "" {
			errs = append(errs, fmt.Errorf("%s: it is an option of other outputs; %s", o.key, o.instead))
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
