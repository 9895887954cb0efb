package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// graylogClasses returns the class path of graylog/pom.xml, from Maven Central the first time.
func graylogClasses(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"java", "javac", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("not run: Graylog's own classes need a JDK (17 or newer) and Maven (Debian: apt-get install default-jdk-headless maven)")
		}
	}
	pom, err := filepath.Abs("graylog/pom.xml")
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(rig.Root, "build/out/graylog-classpath")
	have, errHave := os.Stat(list)
	want, err := os.Stat(pom)
	if err != nil {
		t.Fatal(err)
	}
	if errHave != nil || have.ModTime().Before(want.ModTime()) {
		cmd := exec.Command("mvn", "-q", "-B", "-f", pom, "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath", "-Dmdep.outputFile="+list)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("not run: Graylog's classes come from Maven Central: %v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// TestGraylogReadsTheContentPack lets Graylog's own classes read the pack, which refuse a name
// that they do not know, and its own rule language run the pack's pipeline on the records of
// the corpus. A server has more: a database, inputs that listen, pages in a browser.
func TestGraylogReadsTheContentPack(t *testing.T) {
	classes := graylogClasses(t)
	_, records := corpusDocuments(t)
	var in bytes.Buffer
	var want []object
	lists := 0
	for _, r := range records {
		sent, stored := object{}, object{}
		after, _ := flatDocument(t, r)
		for field, values := range r {
			name := flatName(field)
			// Graylog removes space around texts, and these are not fields of the message.
			if text := strings.Join(values, ","); field != "@timestamp" && text == strings.TrimSpace(text) && text != "" {
				sent[name], stored[name] = text, after[name]
				if _, ok := after[name].([]string); ok {
					lists++
				}
			}
		}
		line, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
		want = append(want, stored)
	}
	cmd := exec.Command("java", "-XX:TieredStopAtLevel=1", "-cp", classes, "graylog/Read.java", dir+"/graylog-content-pack.json")
	cmd.Stdin = &in
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, stderr.String())
	}
	_, out, ok := bytes.Cut(out, []byte("messages\n"))
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	if !ok || len(got) != len(want) || lists < 100 {
		t.Fatalf("%d messages of %d, %d lists", len(got), len(want), lists)
	}
	for i := range want {
		text, err := json.Marshal(want[i])
		if err != nil {
			t.Fatal(err)
		}
		var g, w any
		if json.Unmarshal([]byte(got[i]), &g) != nil || json.Unmarshal(text, &w) != nil {
			t.Fatal(got[i])
		}
		a, _ := json.Marshal(g) // with names in order
		b, _ := json.Marshal(w)
		if !bytes.Equal(a, b) {
			t.Errorf("got  %s\nwant %s", a, b)
		}
	}
	t.Logf("%d messages with %d lists", len(got), lists)
}
