package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"fluent-bit-fortiems/plugin/bootstrap"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// How long one-shot services wait for their server.
const (
	setupLimit = 3 * time.Minute
	pollPause  = time.Second
)

// writerRole holds the only privileges of the collector: prepare its own data streams and
// add documents to them.
var writerRole = map[string]any{
	"cluster": []string{"monitor", "manage_index_templates", "manage_ilm"},
	"indices": []any{map[string]any{
		"names":      []string{"logs-fortinet.fortiems-*", "logs-fortinet.fortiems.dead_letter-*"},
		"privileges": []string{"auto_configure", "create_doc", "monitor", "view_index_metadata"},
	}},
}

// runSetup creates accounts on Elasticsearch (OpenSearch reads them from a file) and
// installs templates and policies, exactly as the output plugin does.
func runSetup(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("setup", flag.ContinueOnError)
	product := fs.String("product", "elasticsearch", "elasticsearch or opensearch")
	if err := fs.Parse(args); err != nil {
		return err
	}
	env, err := need("SEARCH_URL", "SEARCH_USER", "SEARCH_PASSWORD")
	if err != nil {
		return err
	}
	c, err := newClient(env["SEARCH_URL"], env["SEARCH_USER"], env["SEARCH_PASSWORD"], os.Getenv("SEARCH_CA"))
	if err != nil {
		return err
	}
	if *product == "elasticsearch" {
		if err := accounts(ctx, c); err != nil {
			return err
		}
	}
	return eventually(ctx, setupLimit, pollPause, func(ctx context.Context) error { return templates(ctx, c, *product) })
}

// accounts sets the password of Kibana and creates the user of the collector.
func accounts(ctx context.Context, c *client) error {
	env, err := need("KIBANA_SYSTEM_PASSWORD", "FORTIEMS_PASSWORD")
	if err != nil {
		return err
	}
	return eventually(ctx, setupLimit, pollPause, func(ctx context.Context) error {
		return errors.Join(
			c.call(ctx, http.MethodPost, "/_security/user/kibana_system/_password", map[string]any{"password": env["KIBANA_SYSTEM_PASSWORD"]}, nil),
			c.call(ctx, http.MethodPut, "/_security/role/fortiems_writer", writerRole, nil),
			c.call(ctx, http.MethodPut, "/_security/user/fortiems", map[string]any{
				"password": env["FORTIEMS_PASSWORD"], "roles": []string{"fortiems_writer"}}, nil))
	})
}

func templates(ctx context.Context, c *client, product string) error {
	config, err := option.ParseOutput(func(key string) string {
		if key == "product" {
			return product
		}
		return ""
	})
	if err != nil {
		return err
	}
	log := hostlog.New("output", "fortiems_es", "setup", hostlog.Info, time.Minute, func(_ hostlog.Level, line string) {
		fmt.Fprintln(os.Stderr, line)
	})
	return bootstrap.New(bootstrap.Options{Transport: c, Config: config, Log: log}).Ready(ctx)
}

// runImport imports dashboards into Kibana or OpenSearch Dashboards and replaces existing
// ones.
func runImport(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("import", flag.ContinueOnError)
	file := fs.String("file", "", "saved objects (NDJSON)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	env, err := need("FRONT_URL", "SEARCH_USER", "SEARCH_PASSWORD")
	if err != nil {
		return err
	}
	c, err := newClient(env["FRONT_URL"], env["SEARCH_USER"], env["SEARCH_PASSWORD"], "")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	return eventually(ctx, setupLimit, pollPause, func(ctx context.Context) error { return importObjects(ctx, c, filepath.Base(*file), text) })
}

func importObjects(ctx context.Context, c *client, name string, text []byte) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	_, err = part.Write(text)
	if err = errors.Join(err, form.Close()); err != nil {
		return err
	}
	var got struct {
		Success      bool
		SuccessCount int
		Errors       []struct{ ID, Type string }
	}
	// Each product requires its own header against forged requests. The tenant header is for
	// OpenSearch: without it the objects would be private to the user.
	header := map[string]string{"kbn-xsrf": "true", "osd-xsrf": "true", "securitytenant": "global"}
	err = c.send(ctx, http.MethodPost, "/api/saved_objects/_import?overwrite=true", form.FormDataContentType(), body.Bytes(), header, &got)
	if err != nil {
		return err
	}
	want := bytes.Count(bytes.TrimSpace(text), []byte("\n")) + 1
	if !got.Success || got.SuccessCount != want {
		return fmt.Errorf("%d of %d objects imported, errors %v", got.SuccessCount, want, got.Errors)
	}
	fmt.Printf("%d objects of %s imported\n", got.SuccessCount, name)
	return nil
}
