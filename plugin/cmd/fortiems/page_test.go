package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a tab of a real browser that notes what goes wrong in it.
type browser struct {
	ctx      context.Context
	mu       sync.Mutex
	problems []string // messages of the console, errors, requests
	requests []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("not run: needs a browser (-short)")
	}
	bin := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			bin = path
			break
		}
	}
	if bin == "" {
		t.Skip("not run: needs Chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.WindowSize(1400, 1000))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx}
	chromedp.ListenTarget(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.problems = append(b.problems, ev.ExceptionDetails.Error())
		case *cdplog.EventEntryAdded: // policy violations among them
			b.problems = append(b.problems, ev.Entry.Text)
		case *runtime.EventConsoleAPICalled:
			b.problems = append(b.problems, fmt.Sprint("console: ", ev.Type))
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, ev.Request.URL)
		}
	})
	if err := chromedp.Run(ctx, network.Enable(), cdplog.Enable(), runtime.Enable()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) run(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// eval returns the value of an expression.
func eval[T any](t *testing.T, b *browser, expression string) (v T) {
	t.Helper()
	b.run(t, chromedp.Evaluate(expression, &v))
	return v
}

// openReport writes the report of lines and opens it.
func openReport(t *testing.T, b *browser, lines []string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	log, html := "ems.log", "report.html"
	if err := os.WriteFile(log, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fortiems(t, "", "report", log, "-o", html); got.code != exitFine {
		t.Fatalf("%+v", got)
	}
	b.run(t, chromedp.Navigate("file://"+filepath.Join(dir, html)), chromedp.Sleep(100*time.Millisecond))
	if !eval[bool](t, b, `document.documentElement.dataset.ready === 'true'`) {
		t.Fatalf("the page is not complete: %q", b.problems)
	}
}

// calm fails the test if the page did anything but show itself.
func (b *browser) calm(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.problems) > 0 {
		t.Errorf("problems: %q", b.problems)
	}
	for _, r := range b.requests {
		if !strings.HasPrefix(r, "file://") || !strings.HasSuffix(r, "/report.html") {
			t.Errorf("a request for %s", r)
		}
	}
}

// screenshots, if set, is the folder where the pictures of the documentation are written:
// FORTIEMS_SCREENSHOTS=doc go test -run Report ./plugin/cmd/fortiems
func (b *browser) screenshot(t *testing.T, name string, actions ...chromedp.Action) {
	t.Helper()
	var png []byte
	b.run(t, append(actions, chromedp.CaptureScreenshot(&png))...)
	if len(png) < 20_000 {
		t.Errorf("%s: a picture of %d bytes", name, len(png))
	}
	if dir := os.Getenv("FORTIEMS_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReportShowsTheCorpus compares the numbers of the page with the golden meanings.
func TestReportShowsTheCorpus(t *testing.T) {
	b := newBrowser(t)
	lines := corpusLines(t)
	openReport(t, b, lines)
	want := corpusCounts(t)
	names := eval[[]string](t, b, `fortiemsCharts.categories.instance.getOption().yAxis[0].data`)
	series := eval[[][]float64](t, b, `fortiemsCharts.categories.instance.getOption().series.map((s) => s.data)`)
	shown := map[string]int{}
	for i, name := range names {
		for _, s := range series {
			shown[name] += int(s[i])
		}
	}
	for name, n := range want {
		if name != "unmatched" && shown[name] != n {
			t.Errorf("the chart shows %d of %s, the corpus has %d", shown[name], name, n)
		}
	}
	if bars := eval[int](t, b, `document.querySelectorAll('.chart svg path').length`); bars < 50 {
		t.Errorf("%d shapes are drawn", bars)
	}
	// Filters.
	if text := eval[string](t, b, `document.getElementById('found').textContent.replace(/[,.\u00a0\u202f]/g, '')`); !strings.HasPrefix(text, fmt.Sprintf("%d of %d events", len(lines), len(lines))) {
		t.Error(text)
	}
	b.run(t, chromedp.Evaluate(`document.getElementById('by-c').value = 'ems-vpn'; document.getElementById('filters').dispatchEvent(new Event('input'))`, nil))
	if text := eval[string](t, b, `document.getElementById('found').textContent.replace(/[,.\u00a0\u202f]/g, '')`); !strings.HasPrefix(text, fmt.Sprintf("%d of ", want["ems-vpn"])) {
		t.Errorf("%s, want %d", text, want["ems-vpn"])
	}
	b.run(t, chromedp.Evaluate(`document.querySelector('#filters button').click()`, nil), chromedp.Sleep(50*time.Millisecond), chromedp.SendKeys("#search", "usertest offline"))
	if text := eval[string](t, b, `document.getElementById('found').textContent.replace(/[,.\u00a0\u202f]/g, '')`); strings.HasPrefix(text, "0 ") || strings.HasPrefix(text, fmt.Sprint(len(lines))) {
		t.Errorf("the search found %s", text)
	}
	// Details by keyboard.
	b.run(t, chromedp.Focus("#table tbody button"), chromedp.KeyEvent("\r"))
	if text := eval[string](t, b, `document.querySelector('#table tbody tr:nth-child(2)').innerText`); !strings.Contains(text, "usertest") || !strings.Contains(text, `"category": "ems-client"`) || !strings.Contains(text, "Category by") {
		t.Errorf("details: %.300s", text)
	}
	if bad := eval[int](t, b, `[...document.querySelectorAll('button, select, input')].filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).length`); bad > 0 {
		t.Errorf("%d controls have no name", bad)
	}
	if unnamed := eval[int](t, b, `document.querySelectorAll('.chart:not([aria-label]), section:not([aria-labelledby])').length`); unnamed > 0 {
		t.Errorf("%d charts or sections have no name", unnamed)
	}
	b.run(t, chromedp.Evaluate(`document.querySelector('#filters button').click(); scrollTo(0, 0)`, nil))
	b.screenshot(t, "report.png")
	b.screenshot(t, "report-dark.png", emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}), chromedp.Sleep(300*time.Millisecond))
	b.screenshot(t, "report-events.png", emulation.SetEmulatedMedia(), chromedp.Evaluate(`
		document.getElementById('by-k').value = 'alert'; document.getElementById('filters').dispatchEvent(new Event('input'));
		document.querySelector('#table tbody button').click(); document.getElementById('events').scrollIntoView()`, nil), chromedp.Sleep(200*time.Millisecond))
	b.run(t, chromedp.ActionFunc(func(ctx context.Context) error {
		pdf, _, err := page.PrintToPDF().Do(ctx)
		if err == nil && len(pdf) < 30_000 {
			err = fmt.Errorf("a print of %d bytes", len(pdf))
		}
		if dir := os.Getenv("FORTIEMS_SCREENSHOTS"); err == nil && dir != "" {
			err = os.WriteFile(filepath.Join(os.TempDir(), "fortiems-report.pdf"), pdf, 0o600)
		}
		return err
	}))
	b.calm(t)
}

// TestPictureOfTheDemo: what README.md shows of make demo is readable in a browser.
func TestPictureOfTheDemo(t *testing.T) {
	b := newBrowser(t)
	file, err := filepath.Abs("demo.svg")
	if err != nil {
		t.Fatal(err)
	}
	b.run(t, chromedp.Navigate("file://"+file), chromedp.Sleep(100*time.Millisecond))
	outside := eval[[]string](t, b, `(() => {
		const frame = document.documentElement.getBoundingClientRect();
		return [...document.querySelectorAll('text, rect')].filter((e) => {
			const r = e.getBoundingClientRect();
			return r.right > frame.right + 1 || r.bottom > frame.bottom + 1 || r.width < 1;
		}).map((e) => e.outerHTML);
	})()`)
	if n := eval[int](t, b, `document.querySelectorAll('text').length`); n < 50 || len(outside) > 0 {
		t.Errorf("%d texts; outside of the picture: %q", n, outside)
	}
	b.screenshot(t, "demo.png")
}

// TestReportOfHostileLines: whatever a line holds stays text.
func TestReportOfHostileLines(t *testing.T) {
	reached := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	defer srv.Close()
	b := newBrowser(t)
	attack := `</script><script>document.title='pwned'</script><img src=` + srv.URL + `/x onerror=document.title='pwned'><style>body{display:none}</style>`
	var lines []string
	for _, key := range []string{"msg", "hostname", "user", "type", "subtype", "fctver", "virus", "unknown_key", "srcip", "url"} {
		lines = append(lines, fmt.Sprintf(`emsserial=FCTEMS0000000001 id=96000 fctver=7.2 subtype=av msg="Found virus" hostname=h user=u %s="%s"`, key, attack))
	}
	lines = append(lines, attack, "emsserial=FCTEMS1 msg=\"\u202eevil\u2066 \u2028\x00\x1b[2J {{data}} {{js}} \xff\"", "emsserial=FCTEMS1 msg="+strings.Repeat("<b>x", 250_000),
		`emsserial=FCTEMS1 hostname=__proto__ user=constructor type=toString msg=__proto__`, `emsserial=FCTEMS1 msg="{b|rich} {a} <!--" type="<!--<script>"`)
	openReport(t, b, lines)
	b.run(t, chromedp.Evaluate(`document.querySelectorAll('#table tbody button').forEach((e) => e.click()); 0`, nil), chromedp.Sleep(200*time.Millisecond))
	if title := eval[string](t, b, `document.title`); title != "FortiEMS report" {
		t.Errorf("the title became %q", title)
	}
	if n := eval[int](t, b, `document.querySelectorAll('img, iframe, script[src], body style, object, embed').length`); n != 0 {
		t.Errorf("%d elements came from the log", n)
	}
	text := eval[string](t, b, `document.getElementById('events').innerText`)
	for _, want := range []string{`</script><script>document.title='pwned'</script>`, `\u202eevil\u2066`, "The line has 1000022 bytes"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	if strings.ContainsAny(text, "\u202e\u2066\x1b") {
		t.Error("the page has characters that reorder text")
	}
	select {
	case path := <-reached:
		t.Errorf("the page asked for %s", path)
	default:
	}
	b.calm(t)
}
