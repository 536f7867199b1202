// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// held is a connection taken over from the HTTP server: answers are written by hand, one write per
// event, and how the peer ends is seen and logged at once. It carries one answer and is then closed.
type held struct {
	net.Conn
	in    io.Reader // what the peer sends; may begin with bytes the server had read already
	log   *eventLog
	path  string
	id    string
	bytes atomic.Int64 // written so far, or read where the route only reads
	gone  chan struct{}
	once  sync.Once
}

func (n *node) takeOver(w http.ResponseWriter, r *http.Request) (*held, error) {
	path, id := r.URL.Path, r.FormValue("id")
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil, err
	}
	return newHeld(n.log, conn, rw.Reader, path, id), nil
}

func newHeld(l *eventLog, conn net.Conn, in io.Reader, path, id string) *held {
	return &held{Conn: conn, in: in, log: l, path: path, id: id, gone: make(chan struct{})}
}

// The peer has ended (or we have, when what is empty): log it the first time.
func (h *held) leave(what, how string) {
	h.once.Do(func() {
		now := time.Now().UnixNano()
		if what != "" {
			h.log.add(event{what, h.path, h.id, how, h.bytes.Load(), now})
		}
		close(h.gone)
	})
}

// end closes after a whole answer: what the peer does from here on is no abort.
func (h *held) end() {
	h.leave("", "")
	h.Close()
}

// watch reads until the peer ends, drops what it sends, and logs an abort. Runs beside the writer.
func (h *held) watch() {
	_, _ = io.Copy(io.Discard, h.in) // howEnded knows better than its error
	h.leave("abort", howEnded(h.Conn))
}

// Linux's numbers of TCP states, the first byte of struct tcp_info.
const (
	tcpEstablished = 1
	tcpClose       = 7
)

func tcpState(c net.Conn) int {
	state := tcpClose
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return state
	}
	rc.Control(func(fd uintptr) {
		v, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		if err == nil {
			state = v & 0xff
		}
	})
	return state
}

// howEnded tells FIN from RST. The socket's state knows; a read's error may have gone to a write.
func howEnded(c net.Conn) string {
	if tcpState(c) == tcpClose {
		return "rst"
	}
	return "fin"
}

// hold waits until the peer ends, without reading, and logs that; or until the time is over. A FIN
// behind unread bytes is not seen: the kernel has no room to take it.
func (h *held) hold(limit time.Duration) {
	defer h.end()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-tick.C {
		if tcpState(h.Conn) != tcpEstablished {
			h.leave("abort", howEnded(h.Conn))
			return
		}
	}
}

// waitUntil sleeps; false when the peer ended first.
func (h *held) waitUntil(at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		select {
		case <-h.gone:
			return false
		default:
			return true
		}
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-h.gone:
		return false
	case <-t.C:
		return true
	}
}

func (h *held) write(p []byte) {
	n, err := h.Write(p)
	h.bytes.Add(int64(n))
	if err != nil {
		h.leave("abort", howEnded(h.Conn))
	}
}

func (h *held) writeHead(contentType string) {
	h.write(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-cache\r\n"+
		"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", contentType))
}

func (h *held) writeChunk(p []byte) {
	h.write(fmt.Appendf(nil, "%x\r\n%s\r\n", len(p), p))
}

func (h *held) writeLastChunk() {
	h.write([]byte("0\r\n\r\n"))
}
