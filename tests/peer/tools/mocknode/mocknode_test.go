// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mltunnel/tests/peer/tools/stream"
)

// start serves n's inference routes, or its raw port, on a free port.
func start(t *testing.T, n *node, isRaw bool) *net.TCPConn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if isRaw {
		go n.serveRaw(l)
	} else {
		mux := n.inferenceRoutes()
		n.addProbes(mux)
		n.addHolds(mux)
		go http.Serve(l, mux)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn)
}

func newNode() *node {
	return &node{log: newEventLog(), model: "m", tokens: 3}
}

// waitForEvent returns the one event with this id.
func waitForEvent(t *testing.T, n *node, id string) event {
	timeout := time.After(10 * time.Second)
	for {
		found, changed := n.log.find(id)
		if len(found) > 0 {
			return found[0]
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("nothing was logged for %q", id)
		}
	}
}

func TestAnAbortIsSeenAtOnceWithItsKind(t *testing.T) {
	chat := `{"stream":true,"max_tokens":1000000}`
	asks := map[string]string{
		"sse":    "GET /sse?events=100000&id=x HTTP/1.1\r\nHost: h\r\n\r\n",
		"hang":   "GET /hang?id=x HTTP/1.1\r\nHost: h\r\n\r\n",
		"stall":  "GET /stall?id=x HTTP/1.1\r\nHost: h\r\n\r\n",
		"noread": "POST /noread?id=x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n",
		"chat": fmt.Sprintf("POST /v1/chat/completions?id=x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s",
			len(chat), chat),
		"raw sink": "sink x\n",
		"raw hold": "hold x\n",
	}
	for name, ask := range asks {
		for _, how := range []string{"fin", "rst"} {
			n := newNode()
			n.tokensDelay = time.Millisecond
			c := start(t, n, strings.HasPrefix(name, "raw"))
			io.WriteString(c, ask)
			if name == "sse" || name == "chat" || name == "stall" {
				bufio.NewReader(c).ReadString('\n') // at work
			}
			at := time.Now().UnixNano()
			if how == "fin" {
				c.CloseWrite()
			} else {
				c.SetLinger(0)
				c.Close()
			}
			e := waitForEvent(t, n, "x")
			if late := time.Duration(e.AtNS - at); e.How != how || late > time.Second {
				t.Errorf("%s: %s after %v instead of %s", name, e.How, late, how)
			}
		}
	}
}

func TestAWholeAnswerIsNoAbort(t *testing.T) {
	n := newNode()
	c := start(t, n, false)
	io.WriteString(c, "GET /sse?events=3&rate=1000&id=x HTTP/1.1\r\nHost: h\r\n\r\n")
	text, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(text), "\n\n\r\n0\r\n\r\n") {
		t.Errorf("%v, answer ends in %q", err, text[max(0, len(text)-20):])
	}
	if found, _ := n.log.find("x"); len(found) > 0 {
		t.Errorf("logged %v", found)
	}
}

func TestEventsKeepTheirSchedule(t *testing.T) {
	const events, interval = 1000, time.Millisecond
	n := newNode()
	c := start(t, n, false)
	io.WriteString(c, "GET /sse?events=1000&rate=1000 HTTP/1.1\r\nHost: h\r\n\r\n")
	var first int64
	least := time.Hour
	for lines := bufio.NewScanner(c); lines.Scan(); {
		e, err := stream.Parse(lines.Bytes())
		if err != nil {
			continue // head, chunk sizes, empty lines
		}
		if e.Seq == 0 {
			first = e.AtNS
		}
		if e.Seq >= events-100 {
			least = min(least, time.Duration(e.AtNS-first)-time.Duration(e.Seq)*interval)
		}
	}
	// Any one event may be late on a busy machine; if the error of each sleep added up, all would be.
	if least < -10*time.Millisecond || least > 20*time.Millisecond {
		t.Errorf("the last events are at least %v behind", least)
	}
}

func TestTokensComeOneByOne(t *testing.T) {
	n := newNode()
	n.tokensDelay = 50 * time.Millisecond
	c := start(t, n, false)
	ask := `{"stream":true,"max_tokens":3}`
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(ask), ask)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	var at []time.Time
	lines := bufio.NewScanner(r.Body)
	last := ""
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"content"`) {
			at = append(at, time.Now())
		}
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if len(at) != 3 || last != "data: [DONE]" || at[2].Sub(at[0]) < 80*time.Millisecond {
		t.Errorf("%d tokens, last line %q", len(at), last)
	}
}

func TestEventsStartWhenTold(t *testing.T) {
	c := start(t, newNode(), false)
	at := time.Now().Add(100 * time.Millisecond)
	fmt.Fprintf(c, "GET /sse?events=2&rate=50&size=200&start_ns=%d HTTP/1.1\r\nHost: x\r\n\r\n", at.UnixNano())
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(body)), "\n\n") {
		e, err := stream.Parse([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if due := at.Add(time.Duration(i) * 20 * time.Millisecond); e.AtNS < due.UnixNano() {
			t.Errorf("event %d came %d ns early", i, due.UnixNano()-e.AtNS)
		}
	}
}
