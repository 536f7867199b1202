// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"mltunnel/tests/peer/tools/stream"
)

// addProbes adds the routes whose answers a client can check to the byte.
func (n *node) addProbes(mux *http.ServeMux) {
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("GET /bytes", sendBytes)
	mux.HandleFunc("POST /sink", sink)
	mux.HandleFunc("PUT /sink", sink)
}

// echo sends the body back while it still comes.
func echo(w http.ResponseWriter, r *http.Request) {
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	io.Copy(w, r.Body)
}

// sendBytes answers GET /bytes?n=N&seed=S with the first N bytes of stream S.
func sendBytes(w http.ResponseWriter, r *http.Request) {
	size, err1 := intParam(r, "n", 0)
	seed, err2 := intParam(r, "seed", 0)
	if err1 != nil || err2 != nil || size < 0 {
		http.Error(w, "n and seed are numbers", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	src := stream.NewSource(uint64(seed))
	block := make([]byte, min(64<<10, size))
	for size > 0 {
		p := block[:min(int64(len(block)), size)]
		src.Read(p)
		if _, err := w.Write(p); err != nil {
			return
		}
		size -= int64(len(p))
	}
}

// sink reads all and tells what it was.
func sink(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	size, err := io.Copy(h, r.Body)
	if err != nil {
		return
	}
	answer(w, map[string]any{"length": size, "sha256": fmt.Sprintf("%x", h.Sum(nil))})
}
