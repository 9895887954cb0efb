package eshttp

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

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
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
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
	domain, port, _ := strings.Cut(parts[0], ":")
	id, own, _ := strings.Cut(parts[1], ":") // Elasticsearch may have a port of its own
	port = cmp.Or(own, port, "443")
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || id == "" || domain == "" {
		return "", errCloudID
	}
	return "https://" + id + "." + domain + ":" + port, nil
}

// login returns the Authorization header, "" without credentials. Errors hold no value.
func login(c *option.OutputConfig) (header string, err error) {
	var errs []error
	secret := func(key, value string) string {
		value, err := expand(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		return strings.TrimSpace(value) // files and environments often end in a line break
	}
	apiKey, username, password := secret("api_key", c.APIKey), secret("username", c.Username), secret("password", c.Password)
	if strings.ContainsFunc(apiKey, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		errs = append(errs, errors.New("api_key: the value is not valid (it has a blank or a character that no key has); valid: the key as Elasticsearch hands it out, on one line"))
	}
	if strings.Contains(username, ":") {
		errs = append(errs, errors.New("username: a name with a colon cannot be used for basic authentication; valid: a user name"))
	}
	switch {
	case len(errs) > 0:
		return "", errors.Join(errs...)
	case apiKey != "":
		if strings.Contains(apiKey, ":") { // id:key instead of the encoded form
			apiKey = base64.StdEncoding.EncodeToString([]byte(apiKey))
		}
		return "APIKey " + apiKey, nil
	case username != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password)), nil
	}
	return "", nil
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
