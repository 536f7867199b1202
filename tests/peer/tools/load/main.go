// SPDX-License-Identifier: Apache-2.0

// load puts traffic on a mock node, most often through a tunnel, and checks every byte of it.
//
//	load SUBCOMMAND --to HOST:PORT [OPTION...]
//
// It prints one line of JSON and exits 0 when all was exact, 1 when something was not, 2 when it was
// asked wrongly. See ../../README.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// report is the line printed: figures by name.
type report map[string]any

// A subcommand declares its options on f, and after they are parsed runs.
type subcommand func(f *flag.FlagSet, t *target) func() report

var subcommands = map[string]subcommand{
	"get":          getCommand,
	"echo":         echoCommand,
	"download":     downloadCommand,
	"upload":       uploadCommand,
	"flood":        floodCommand,
	"sse":          sseCommand,
	"connect":      connectCommand,
	"churn":        churnCommand,
	"noread":       noReadCommand,
	"stuck-upload": stuckUploadCommand,
	"abort":        abortCommand,
	"end":          endCommand,
}

// target is where the traffic goes, and what was wrong with it.
type target struct {
	addr    string
	timeout time.Duration

	mu       sync.Mutex
	nWrong   int
	examples []string // the first few
}

const maxExamples = 5

func (t *target) wrong(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nWrong++
	if len(t.examples) < maxExamples {
		t.examples = append(t.examples, fmt.Sprintf(format, args...))
	}
}

func main() {
	if len(os.Args) < 2 || subcommands[os.Args[1]] == nil {
		names := []string{}
		for name := range subcommands {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "usage: load %s --to HOST:PORT [OPTION...]\n", strings.Join(names, "|"))
		os.Exit(2)
	}
	name := os.Args[1]
	t := &target{}
	f := flag.NewFlagSet("load "+name, flag.ExitOnError)
	f.StringVar(&t.addr, "to", "", "`host:port` of the mock node, or of the tunnel's end")
	f.DurationVar(&t.timeout, "timeout", time.Minute, "for any one connection")
	run := subcommands[name](f, t)
	f.Parse(os.Args[2:])
	if t.addr == "" || f.NArg() > 0 || !countsArePositive(f) {
		f.Usage()
		os.Exit(2)
	}

	start := time.Now()
	r := run()
	r["cmd"] = name
	r["took_ms"] = ms(time.Since(start))
	r["exact"] = t.nWrong == 0
	r["wrong"] = t.nWrong
	r["examples"] = append([]string{}, t.examples...)
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil || t.nWrong > 0 {
		os.Exit(1)
	}
}

func countsArePositive(f *flag.FlagSet) bool {
	ok := true
	f.VisitAll(func(o *flag.Flag) {
		if n, isInt := o.Value.(flag.Getter).Get().(int); isInt && n < 1 {
			fmt.Fprintf(os.Stderr, "--%s must be at least 1\n", o.Name)
			ok = false
		}
	})
	return ok
}

// each runs do(0) to do(n-1) at the same time and waits for all.
func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			do(i)
		}()
	}
	wg.Wait()
}

// ready tells a script that what it waits for is in place: a line on stderr, stdout has the result.
func ready(what string) {
	fmt.Fprintln(os.Stderr, "ready:", what)
}

func ms(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}

// spread sums up durations, in ms. It sorts them.
func spread(d []time.Duration) report {
	if len(d) == 0 {
		return report{"n": 0}
	}
	slices.Sort(d)
	at := func(permille int) float64 { return ms(d[(len(d)-1)*permille/1000]) }
	return report{"n": len(d), "p50": at(500), "p90": at(900), "p99": at(990), "p999": at(999), "max": at(1000)}
}
