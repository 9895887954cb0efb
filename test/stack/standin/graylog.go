package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"fluent-bit-fortiems/test/stack/fakegraylog"
)

// graylog reads the variables that the stack sets as Graylog does, looks for its two servers,
// and serves the fake.
func graylog() error {
	hash := os.Getenv("GRAYLOG_ROOT_PASSWORD_SHA2")
	if sum, err := hex.DecodeString(hash); err != nil || len(sum) != 32 {
		return errors.New("GRAYLOG_ROOT_PASSWORD_SHA2 is no SHA-256")
	}
	if len(os.Getenv("GRAYLOG_PASSWORD_SECRET")) < 16 {
		return errors.New("GRAYLOG_PASSWORD_SECRET has fewer than 16 characters")
	}
	db, err := url.Parse(os.Getenv("GRAYLOG_MONGODB_URI"))
	if err != nil || db.Scheme != "mongodb" || db.User == nil || db.Path != "/graylog" {
		return fmt.Errorf("GRAYLOG_MONGODB_URI: %v", err)
	}
	c, err := net.DialTimeout("tcp", db.Host, 10*time.Second)
	if err != nil {
		return err
	}
	c.Close()
	if err := login(http.DefaultClient, os.Getenv("GRAYLOG_ELASTICSEARCH_HOSTS")+"/_cluster/health", "", ""); err != nil {
		return err
	}
	s := &fakegraylog.Server{Version: "6.3.7", PasswordHash: hash}
	api := s.Handler()
	l, err := net.Listen("tcp", ":12201")
	if err != nil {
		return err
	}
	go func() { fail(s.ServeGELF(l)) }()
	return http.ListenAndServe(os.Getenv("GRAYLOG_HTTP_BIND_ADDRESS"), api)
}

func mongo() error {
	if os.Getenv("MONGO_INITDB_ROOT_USERNAME") == "" || os.Getenv("MONGO_INITDB_ROOT_PASSWORD") == "" {
		return errors.New("no account for the administrator")
	}
	return http.ListenAndServe(":27017", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "It looks like you are trying to access MongoDB over HTTP on the native driver port.")
	}))
}
