// SPDX-License-Identifier: Apache-2.0

// mocknode stands in for an MLNode: an inference port that streams tokens and a management port.
// Both also answer the test routes of probe.go and hold.go. See ../../README.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

type node struct {
	log             *eventLog
	model           string
	tokens          int
	firstTokenDelay time.Duration
	tokensDelay     time.Duration
}

func main() {
	n := &node{log: newEventLog()}
	inference := flag.String("inference", "127.0.0.1:0", "`address` of the inference port")
	management := flag.String("management", "127.0.0.1:0", "`address` of the management port")
	raw := flag.String("raw", "", "`address` of the raw TCP port (none when empty)")
	flag.StringVar(&n.model, "model", "mock-model", "`name` of the model served")
	flag.IntVar(&n.tokens, "tokens", 16, "tokens in an answer without max_tokens")
	flag.DurationVar(&n.firstTokenDelay, "first-token-delay", 0, "silence between headers and first token")
	flag.DurationVar(&n.tokensDelay, "tokens-delay", 50*time.Millisecond, "time between tokens")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("unexpected argument %q", flag.Arg(0))
	}

	listening := map[string]string{}
	listen := func(name, addr string) net.Listener {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			log.Fatal(err)
		}
		listening[name] = l.Addr().String()
		return l
	}
	failed := make(chan error)
	serve := func(l net.Listener, mux *http.ServeMux) {
		n.addProbes(mux)
		n.addHolds(mux)
		go func() { failed <- http.Serve(l, mux) }()
	}
	serve(listen("inference", *inference), n.inferenceRoutes())
	serve(listen("management", *management), n.managementRoutes())
	if *raw != "" {
		l := listen("raw", *raw)
		go func() { failed <- n.serveRaw(l) }()
	}
	// All ports are open once this line is out.
	if err := json.NewEncoder(os.Stdout).Encode(listening); err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(os.Stderr, "mocknode:", <-failed)
	os.Exit(1)
}

func (n *node) managementRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, map[string]string{"status": "ok"})
		})
	}
	mux.HandleFunc("GET /api/v1/state", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"state": "INFERENCE"})
	})
	mux.HandleFunc("GET /events-log", n.log.serve)
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}
