package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
)

// The parts of the page. The chart library is Apache ECharts 6.1.0, the file
// dist/echarts.common.min.js of its npm package, with its licence and notice.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
	//go:embed page/echarts.common.min.js
	chartsJS string
	//go:embed page/echarts.LICENSE
	chartsLicense string
)

// Write writes the page. It is one file that loads nothing: its policy allows the scripts
// and the style that are in it, by their hashes, and no request.
func (d *Data) Write(w io.Writer) error {
	data, err := json.Marshal(d) // escapes <, > and &, so no text of a log ends the script element
	if err != nil {
		return err
	}
	license, err := json.Marshal(chartsLicense)
	if err != nil {
		return err
	}
	policy := "default-src 'none'; script-src " + source(chartsJS) + " " + source(pageJS) + "; style-src " + source(pageCSS) +
		"; img-src data:; base-uri 'none'; form-action 'none'"
	out := bufio.NewWriter(w)
	rest := pageHTML
	for _, part := range []struct{ mark, text string }{
		{"{{policy}}", policy}, {"{{css}}", pageCSS}, {"{{license}}", string(license)}, {"{{data}}", string(data)}, {"{{charts}}", chartsJS}, {"{{js}}", pageJS},
	} {
		before, after, _ := strings.Cut(rest, part.mark)
		out.WriteString(before)
		out.WriteString(part.text)
		rest = after
	}
	out.WriteString(rest)
	return out.Flush()
}

// source is what the policy calls a script or style of the page.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
