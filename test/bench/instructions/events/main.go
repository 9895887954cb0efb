// Command events enriches one chunk a number of times, for callgrind to count. The
// difference between two runs, divided by their difference in events, excludes the cost
// of starting a process.
//
//	events CASE TIMES
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/test/bench"
)

// perChunk is a multiple of the lines of every case.
const perChunk = 120

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: events CASE TIMES")
	}
	c, err := bench.Find(args[0])
	if err != nil {
		return err
	}
	times, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	chunk, err := c.Chunk(".", perChunk)
	if err != nil {
		return err
	}
	debug.SetGCPercent(-1) // the collector's work depends on when it runs
	rules, err := userRules(c.UserRules)
	if err != nil {
		return err
	}
	e := enrich.New(enrich.Options{EventTime: true, Rules: rules})
	out := make([]byte, 0, 4*len(chunk)+1<<20)
	events := uint64(0)
	for range times {
		var st enrich.Stats
		if out, st, err = e.Run(out[:0], chunk); err != nil {
			return err
		}
		events += st.Counts[count.Records]
	}
	fmt.Println(events)
	return nil
}

// userRules loads n rules of a user.
func userRules(n int) (rules *rule.Rules, err error) {
	err = bench.WithUserRules(n, func(file string) error {
		rules, err = rule.Load(file)
		return err
	})
	return rules, err
}
