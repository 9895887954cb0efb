package eshttp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"fluent-bit-fortiems/plugin/option"
)

// hostURLs are the hosts, or the one that a cloud id names.
func hostURLs(c *option.OutputConfig) ([]*url.URL, error) {
	hosts := c.Hosts
	if c.CloudID != "" {
		host, err := cloudHost(c.CloudID)
		if err != nil {
			return nil, fmt.Errorf("cloud_id: %w", err)
		}
		hosts = []string{host}
	}
	var urls []*url.URL
	for _, h := range hosts {
		u, err := url.Parse(h)
		if err != nil {
			return nil, errors.New("hosts: an entry is not a URL")
		}
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
		urls = append(urls, u)
	}
	if len(urls) == 0 {
		return nil, errors.New("hosts: none is given")
	}
	return urls, nil
}

var errCloudID = errors.New("the value is not valid; valid: the cloud id as the Elastic console shows it")

// cloudHost reads a cloud id: a name, a colon, and in base64 the domain with an
// optional port, the id of Elasticsearch and that of Kibana, separated by dollar
// signs.
func cloudHost(id string) (string, error) {
	text, err := base64.StdEncoding.DecodeString(id[strings.LastIndexByte(id, ':')+1:])
	if err != nil {
		return "", errCloudID
	}
	parts := strings.Split(string(text), "$")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return "", errCloudID
	}
	domain, port, ok := strings.Cut(parts[0], ":")
	if !ok {
		port = "443"
	}
	return "https://" + parts[1] + "." + domain + ":" + port, nil
}

// login makes the options of the transport for the credentials. Errors hold no value.
func login(c *option.OutputConfig) ([]elastictransport.Option, error) {
	var errs []error
	secret := func(key, value string) string {
		value, err := expand(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		return value
	}
	apiKey, username, password := secret("api_key", c.APIKey), secret("username", c.Username), secret("password", c.Password)
	switch {
	case len(errs) > 0:
		return nil, errors.Join(errs...)
	case apiKey != "":
		if strings.Contains(apiKey, ":") { // id:key instead of the encoded form
			apiKey = base64.StdEncoding.EncodeToString([]byte(apiKey))
		}
		return []elastictransport.Option{elastictransport.WithAPIKey(apiKey)}, nil
	case username != "":
		return []elastictransport.Option{elastictransport.WithBasicAuth(username, password)}, nil
	}
	return nil, nil
}

var variable = regexp.MustCompile(`\$\{[^}]+\}`)

// expand replaces ${NAME} by the environment, as Fluent Bit does for values it
// reads from a file.
func expand(s string) (out string, err error) {
	out = variable.ReplaceAllStringFunc(s, func(v string) string {
		value := os.Getenv(v[2 : len(v)-1])
		if value == "" {
			err = errors.New("an environment variable that the value names is not set")
		}
		return value
	})
	return out, err
}
