// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"mltunnel/tests/peer/tools/stream"
)

// addHolds adds the routes that live for long or end in an unusual way.
func (n *node) addHolds(mux *http.ServeMux) {
	mux.HandleFunc("GET /sse", n.sse)
	mux.HandleFunc("GET /hang", n.hang)
	mux.HandleFunc("/stall", n.stall)
	mux.HandleFunc("POST /noread", n.noRead)
	mux.HandleFunc("GET /end", n.endAfter)
}

// How long a connection that nobody reads may live when the caller does not say (seconds=).
const holdSeconds = 600

// A small receive buffer, so that a held upload stops early instead of after megabytes in the kernel.
const holdReceiveBuffer = 64 << 10

// sse sends N events of B bytes at R per second: GET /sse?events=N&rate=R&size=B&stream=S.
// Event i is due at start + i/R, whenever the one before was written. The start is now, or &start_ns=CLOCK_REALTIME.
func (n *node) sse(w http.ResponseWriter, r *http.Request) {
	events, err1 := intParam(r, "events", 10)
	rate, err2 := intParam(r, "rate", 30)
	size, err3 := intParam(r, "size", 850)
	number, err4 := intParam(r, "stream", 0)
	startNS, err5 := intParam(r, "start_ns", time.Now().UnixNano())
	if errors.Join(err1, err2, err3, err4, err5) != nil || rate <= 0 || size < stream.MinEventSize {
		http.Error(w, fmt.Sprintf("events, rate, size (at least %d), stream and start_ns are numbers",
			stream.MinEventSize), http.StatusBadRequest)
		return
	}
	h, err := n.takeOver(w, r)
	if err != nil {
		return
	}
	defer h.end()
	go h.watch()
	h.writeHead("text/event-stream")
	start := time.Unix(0, startNS)
	chunk := make([]byte, 0, size+16)
	for i := int64(0); i < events; i++ {
		if !h.waitUntil(start.Add(time.Duration(i * int64(time.Second) / rate))) {
			return
		}
		chunk = fmt.Appendf(chunk[:0], "%x\r\n", size)
		e := stream.Event{Stream: uint64(number), Seq: int(i), AtNS: time.Now().UnixNano()}
		chunk = append(e.Append(chunk, int(size)), "\r\n"...)
		h.write(chunk)
	}
	h.writeLastChunk()
}

// hang takes the request and never answers.
func (n *node) hang(w http.ResponseWriter, r *http.Request) {
	h, err := n.takeOver(w, r)
	if err != nil {
		return
	}
	defer h.end()
	h.watch()
}

// stall sends the head of an answer, then neither reads nor writes.
func (n *node) stall(w http.ResponseWriter, r *http.Request) {
	n.holdUnread(w, r, true)
}

// noRead neither answers nor reads the body.
func (n *node) noRead(w http.ResponseWriter, r *http.Request) {
	n.holdUnread(w, r, false)
}

func (n *node) holdUnread(w http.ResponseWriter, r *http.Request, withHead bool) {
	seconds, err := intParam(r, "seconds", holdSeconds)
	if err != nil {
		http.Error(w, "seconds is a number", http.StatusBadRequest)
		return
	}
	h, err := n.takeOver(w, r)
	if err != nil {
		return
	}
	shrinkReceiveBuffer(h.Conn)
	if withHead {
		h.writeHead("application/octet-stream")
	}
	h.hold(time.Duration(seconds) * time.Second)
}

// endAfter ends an answer from the service's side, T ms after its start: GET /end?how=fin|rst&after_ms=T.
// The body tells the planned time beforehand, as "ends AT_NS", so that a RST cannot overtake it.
func (n *node) endAfter(w http.ResponseWriter, r *http.Request) {
	afterMS, err := intParam(r, "after_ms", 50)
	how := r.FormValue("how")
	if err != nil || how != "fin" && how != "rst" {
		http.Error(w, "after_ms is a number, how is fin or rst", http.StatusBadRequest)
		return
	}
	h, err := n.takeOver(w, r)
	if err != nil {
		return
	}
	defer h.end()
	go h.watch()
	at := time.Now().Add(time.Duration(afterMS) * time.Millisecond)
	h.write(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nends %d\n", at.UnixNano()))
	if h.waitUntil(at) {
		endNow(h.Conn, how)
	}
}
