package option

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite plugin/options_gen.h")

func from(m map[string]string) func(string) string {
	return func(key string) string { return m[key] }
}

func TestFilterDefaults(t *testing.T) {
	got, err := ParseFilter(from(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := FilterConfig{
		KeyNames:  []string{"log", "message"},
		Schema:    ECS,
		Location:  time.UTC,
		EventTime: true,
		Unmatched: Pass,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestFilterAllSet(t *testing.T) {
	got, err := ParseFilter(from(map[string]string{
		"key_name":          " raw , log,raw",
		"schema":            "FLAT",
		"timezone":          "Europe/Berlin",
		"event_time":        "off",
		"preserve_original": "Yes",
		"rules_file":        "/etc/rules.yaml",
		"unmatched":         "Drop",
		"metrics_listen":    "localhost:2112",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got.Location.String() != "Europe/Berlin" {
		t.Errorf("timezone: got %v", got.Location)
	}
	got.Location = nil
	want := FilterConfig{
		KeyNames:         []string{"raw", "log"},
		Schema:           Flat,
		PreserveOriginal: true,
		RulesFile:        "/etc/rules.yaml",
		Unmatched:        Drop,
		MetricsListen:    "localhost:2112",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// An option of a table without a row here fails the test, so that a new option
// cannot come without its refusals.
func TestFilterBadValues(t *testing.T) {
	bad := map[string][]string{
		"key_name":          {",", "log,,message", "log,", " , log", "$log", "log,$kubernetes['log']", "a['b']"},
		"schema":            {"ecs9", "nested", "ecs,flat"},
		"timezone":          {"Mars/Base", "local", "+2:00", "+02:60", "+15:00", "+14:01", "02:00", "+0200", "+ab:cd", "../etc/passwd", "/etc/localtime", "+", "-"},
		"event_time":        {"maybe", "2", "enable"},
		"preserve_original": {"x", "onn"},
		"rules_file":        {}, // any path; the loader says what is wrong with it
		"unmatched":         {"keep", "passed"},
		"metrics_listen":    {"2112", "localhost", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:http", "::1:2112", "http://127.0.0.1:2112"},
	}
	refuses(t, Filter(), bad, func(get func(string) string) error { _, err := ParseFilter(get); return err })
}

func refuses(t *testing.T, table []Option, bad map[string][]string, parse func(func(string) string) error) {
	t.Helper()
	for _, o := range table {
		rows, ok := bad[o.Key]
		if !ok {
			t.Errorf("option %s has no row of bad values", o.Key)
		}
		for _, value := range rows {
			t.Run(o.Key+"="+value, func(t *testing.T) {
				err := parse(from(map[string]string{o.Key: value}))
				if err == nil {
					t.Fatal("accepted")
				}
				var bad *Error
				if !errors.As(err, &bad) || bad.Key != o.Key {
					t.Fatalf("got %#v", err)
				}
				for _, part := range []string{o.Key, strings.TrimSpace(value), "valid: " + o.Valid} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q is missing in %q", part, err)
					}
				}
			})
		}
	}
}

func TestAllMistakesAreReportedTogether(t *testing.T) {
	_, err := ParseFilter(from(map[string]string{"schema": "x", "timezone": "y", "event_time": "z", "unmatched": "pass"}))
	var keys []string
	for _, e := range Errors(err) {
		var bad *Error
		if !errors.As(e, &bad) {
			t.Fatalf("got %#v", e)
		}
		keys = append(keys, bad.Key)
	}
	if want := []string{"schema", "timezone", "event_time"}; !reflect.DeepEqual(keys, want) {
		t.Errorf("got %v, want %v", keys, want)
	}
}

func TestLongValueIsShortened(t *testing.T) {
	_, err := ParseFilter(from(map[string]string{"schema": strings.Repeat("x", 10000) + "\n"}))
	if err == nil || len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestTimezone(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]int{
		"UTC": 0, "utc": 0, "Z": 0, "z": 0, "+00:00": 0, "-00:00": 0,
		"+02:00": 7200, "-03:30": -12600, "+14:00": 50400, "+05:45": 20700,
		"Europe/Berlin": 7200, "Asia/Kolkata": 19800, "America/New_York": -14400, "Etc/GMT+5": -18000,
	} {
		c, err := ParseFilter(from(map[string]string{"timezone": value}))
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if _, got := at.In(c.Location).Zone(); got != want {
			t.Errorf("%s: got %d s, want %d s", value, got, want)
		}
	}
}

func TestBooleans(t *testing.T) {
	for value, want := range map[string]bool{
		"on": true, "true": true, "yes": true, "1": true, "On": true, "TRUE": true,
		"off": false, "false": false, "no": false, "0": false, "OFF": false,
	} {
		c, err := ParseFilter(from(map[string]string{"event_time": value}))
		if err != nil || c.EventTime != want {
			t.Errorf("%s: got %v, %v", value, c.EventTime, err)
		}
	}
}

func TestOutputDefaults(t *testing.T) {
	got, err := ParseOutput(from(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := OutputConfig{
		Hosts:           []string{"http://127.0.0.1:9200"},
		TLSVerify:       true,
		DataStream:      "logs-fortinet.fortiems-default",
		GenerateID:      true,
		BulkMaxBytes:    5_000_000,
		BulkMaxDocs:     5000,
		Gzip:            true,
		FlushTimeout:    30 * time.Second,
		DeadLetterIndex: "logs-fortinet.fortiems.dead_letter-default",
		Bootstrap:       true,
		Product:         "auto",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestOutputAllSet(t *testing.T) {
	print := strings.Repeat("ab:", 31) + "ab"
	got, err := ParseOutput(from(map[string]string{
		"hosts": "https://a:9200, https://b:9200/prefix", "cloud_id": "x:y",
		"username": "elastic", "password": " p ", "ca_file": "ca.pem", "ca_fingerprint": print,
		"client_cert_file": "c.pem", "client_key_file": "k.pem", "tls_verify": "off",
		"data_stream": "logs-x-y", "index": "fortiems-%Y.%m.%d", "generate_id": "no",
		"bulk_max_bytes": "2MB", "bulk_max_docs": "100", "compress": "off", "flush_timeout": "10",
		"dead_letter": "file:/var/dead:1.ndjson", "bootstrap": "false", "product": "OpenSearch",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := OutputConfig{
		Hosts: []string{"https://a:9200", "https://b:9200/prefix"}, CloudID: "x:y",
		Username: "elastic", Password: "p", CAFile: "ca.pem", CAFingerprint: print,
		ClientCertFile: "c.pem", ClientKeyFile: "k.pem",
		DataStream: "logs-x-y", Index: "fortiems-%Y.%m.%d",
		BulkMaxBytes: 2_000_000, BulkMaxDocs: 100, FlushTimeout: 10 * time.Second,
		DeadLetterFile: "/var/dead:1.ndjson", Product: "opensearch",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	off, err := ParseOutput(from(map[string]string{"dead_letter": "off", "api_key": "k"}))
	if err != nil || off.DeadLetterIndex+off.DeadLetterFile != "" || off.APIKey != "k" {
		t.Errorf("got %+v, %v", off, err)
	}
}

func TestOutputBadValues(t *testing.T) {
	bad := map[string][]string{
		"hosts":            {"127.0.0.1:9200", "ftp://a", "http://", "http://a,,http://b", "http://a?x=1", "http://a/#f"},
		"cloud_id":         {},
		"api_key":          {},
		"username":         {},
		"password":         {},
		"ca_file":          {},
		"ca_fingerprint":   {"abc", strings.Repeat("ab", 31), strings.Repeat("zz", 32)},
		"client_cert_file": {},
		"client_key_file":  {},
		"tls_verify":       {"insecure"},
		"data_stream":      {"a b", "-x", "a/b", "a*"},
		"index":            {"_x", "a:b"},
		"generate_id":      {"random"},
		"bulk_max_bytes":   {"0", "-1", "5T", "many", "3G"},
		"bulk_max_docs":    {"0", "-1", "1.5", "many"},
		"compress":         {"zstd"},
		"flush_timeout":    {"0", "-1s", "1ms", "25h", "86401", "999999999", "soon"},
		"dead_letter":      {"on", "index:", "file:", "topic:x", "index:a b"},
		"bootstrap":        {"once"},
		"product":          {"solr"},
		"metrics_listen":   {"127.0.0.1:0", "2112"},
	}
	refuses(t, Output(), bad, func(get func(string) string) error { _, err := ParseOutput(get); return err })
}

func TestOutputPairs(t *testing.T) {
	for name, c := range map[string]struct {
		set  map[string]string
		want string
	}{
		"certificate without key":    {map[string]string{"client_cert_file": "c"}, "client_key_file"},
		"key without certificate":    {map[string]string{"client_key_file": "k"}, "client_cert_file"},
		"user without password":      {map[string]string{"username": "u"}, "password"},
		"API key and user":           {map[string]string{"api_key": "s3cret", "username": "u", "password": "s3cret"}, "api_key and username"},
		"credentials in a host":      {map[string]string{"hosts": "http://h"}, ""},
		"credentials in a host URL":  {map[string]string{"hosts": "http://u:s3cret@h"}, `"http://***@h" is not valid (credentials belong`},
		"credentials in a bad URL":   {map[string]string{"hosts": "https://a,ftp://u:s3cret,s3cret@h"}, `"https://***@h" is not valid`},
		"credentials without scheme": {map[string]string{"hosts": "u:s3cret@h"}, `"***@h" is not valid`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseOutput(from(c.set))
			if c.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("a secret is in %q", err)
			}
		})
	}
}

func TestSecretValueIsNotInTheError(t *testing.T) {
	table := []Option{{Key: "password", Secret: true, Valid: "a password", check: func(string) error { return errNotValid }}}
	_, err := values(table, from(map[string]string{"password": "hunter2"}))
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "password") {
		t.Errorf("got %v", err)
	}
}

// Defaults appear as text in the host's help and in the documentation; they must pass
// the same check as the user's values.
func TestTablesAreComplete(t *testing.T) {
	for _, table := range [][]Option{Filter(), Output()} {
		seen := map[string]bool{}
		for _, o := range table {
			if seen[o.Key] {
				t.Errorf("%s stands twice", o.Key)
			}
			seen[o.Key] = true
			if o.Text == "" || !strings.HasSuffix(o.Text, ".") || o.Valid == "" {
				t.Errorf("%s: no text, no full stop or nothing valid", o.Key)
			}
			if o.Default != "" && o.check != nil {
				if err := o.check(o.Default); err != nil {
					t.Errorf("%s: default %q: %v", o.Key, o.Default, err)
				}
			}
		}
	}
}

func TestGeneratedHeaderIsCurrent(t *testing.T) {
	file := filepath.Join("..", "options_gen.h")
	want := Header(Filter())
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date: run go generate ./plugin/option", file)
	}
}

// Header quotes texts as Go does, which C reads the same way as long as they are printable.
func TestTextsForCArePrintable(t *testing.T) {
	for _, o := range Filter() {
		for _, text := range []string{o.Key, o.Default, o.Text} {
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%s: %q", o.Key, text)
			}
		}
	}
}

func TestEffectiveOptionsHideSecrets(t *testing.T) {
	got := Effective(Filter(), from(map[string]string{"unmatched": "drop", "rules_file": "/my rules"}))
	want := `key_name=log,message schema=ecs timezone=UTC event_time=on preserve_original=off rules_file="/my rules" unmatched=drop`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = Effective(Output(), from(map[string]string{"password": "hunter2", "api_key": "s3cret"}))
	if strings.Contains(got, "hunter2") || strings.Contains(got, "s3cret") || !strings.Contains(got, "password=(set)") {
		t.Errorf("got %s", got)
	}
}

func TestRefusedNamesWhatIsValid(t *testing.T) {
	reason := errors.New("open x: no such file")
	for key, want := range map[string]string{
		"rules_file": "rules_file: open x: no such file; valid: the path of a readable YAML rules file",
		"none":       "none: open x: no such file",
	} {
		if err := Refused(Filter(), key, reason); err.Error() != want || !errors.Is(err, reason) {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

// Every option of Fluent Bit's es (5.1.1) that is not ours is refused with what to write
// instead, bad ports as well.
func TestOptionsOfOthers(t *testing.T) {
	const es = "host port path tls tls.verify tls.ca_file tls.crt_file tls.key_file upstream aws_auth aws_external_id aws_profile aws_region aws_role_arn aws_service_name aws_sts_endpoint" +
		" buffer_size cloud_auth cloud_id compress current_time_index generate_id http_api_key http_passwd http_user id_key include_tag_key index logstash_dateformat" +
		" logstash_format logstash_prefix logstash_prefix_key logstash_prefix_separator pipeline replace_dots suppress_type_name tag_key time_key time_key_format" +
		" time_key_nanos trace_error trace_output type write_operation"
	ours := map[string]bool{}
	for _, o := range Output() {
		ours[o.Key] = true
	}
	for _, key := range strings.Fields(es) {
		if ours[key] {
			continue
		}
		_, err := ParseOutput(func(k string) string { return map[string]string{key: "s3cret"}[k] })
		if err == nil || !strings.HasPrefix(err.Error(), key+": it is an option of other outputs; ") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", key, err)
		}
	}
	for key, want := range map[string]string{"host": "use hosts", "http_user": "use username", "http_passwd": "use password", "logstash_format": "use index", "suppress_type_name": "no type is ever sent"} {
		if _, err := ParseOutput(func(k string) string { return map[string]string{key: "x"}[k] }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, host := range []string{"http://h:0", "http://h:65536", "http://h:9200,http://i:99999"} {
		if _, err := ParseOutput(func(k string) string { return map[string]string{"hosts": host}[k] }); err == nil || !strings.Contains(err.Error(), "is no port") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
