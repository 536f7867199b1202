// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"syscall"
	"time"
)

// abort: a user that leaves in the middle. With --log it asks the node when that was seen there.
func abortCommand(f *flag.FlagSet, t *target) func() report {
	how := f.String("how", "fin", "fin or rst")
	what := f.String("what", "sse", "sse (after two events), hang (before any answer) or raw")
	log := f.String("log", "", "`host:port` of the node's management port, reached directly")
	limit := f.Duration("limit", 100*time.Millisecond, "how late the node may see it")
	return func() report {
		if *how != "fin" && *how != "rst" {
			t.wrong("how is fin or rst, not %q", *how)
			return report{}
		}
		id := fmt.Sprintf("abort-%d", rand.Uint64())
		c, err := t.startForAbort(*what, id)
		if err != nil {
			t.wrong("%v", err)
			return report{}
		}
		defer c.Close()
		at, err := c.abort(*how)
		if err != nil {
			t.wrong("%v", err)
		}
		r := report{"how": *how, "id": id, "at_ns": at}
		if *log != "" {
			t.checkSeen(r, *log, id, at, *limit)
		}
		return r
	}
}

// startForAbort opens what is to be aborted. It returns when the node is known to be at work on it.
func (t *target) startForAbort(what, id string) (*client, error) {
	c, err := t.dial()
	if err != nil {
		return nil, err
	}
	switch what {
	case "sse":
		err = c.ask("GET", "/sse?events=1000000&rate=30&size=850&id="+url.QueryEscape(id), -1)
		var body io.Reader
		if err == nil {
			body, err = c.answer()
		}
		if err == nil {
			_, err = io.CopyN(io.Discard, body, 2*850)
		}
	case "hang":
		err = c.ask("GET", "/hang?id="+url.QueryEscape(id), -1)
	case "raw":
		// The echo of the second line shows that the first was understood.
		if _, err = fmt.Fprintf(c, "echo %s\nhello\n", id); err == nil {
			_, err = c.in.ReadString('\n')
		}
	default:
		err = fmt.Errorf("cannot abort %q", what)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (t *target) checkSeen(r report, log, id string, at int64, limit time.Duration) {
	manage := &target{addr: log, timeout: t.timeout}
	c, body, err := manage.get("/events-log?n=1&wait_ms=10000&id=" + url.QueryEscape(id))
	if err != nil {
		t.wrong("event log: %v", err)
		return
	}
	defer c.Close()
	var seen []struct {
		How  string `json:"how"`
		AtNS int64  `json:"at_ns"`
	}
	if err := json.NewDecoder(body).Decode(&seen); err != nil {
		t.wrong("event log: %v", err)
		return
	}
	if len(seen) != 1 {
		t.wrong("the node saw %d ends instead of one", len(seen))
		return
	}
	late := time.Duration(seen[0].AtNS - at)
	r["seen_how"], r["seen_after_ms"] = seen[0].How, ms(late)
	if late > limit {
		t.wrong("the node saw it after %v", late)
	}
}

// end: a service that ends, once with FIN or RST; the user must see it in time.
func endCommand(f *flag.FlagSet, t *target) func() report {
	how := f.String("how", "fin", "fin or rst")
	after := f.Duration("after", 100*time.Millisecond, "how long the service waits first")
	limit := f.Duration("limit", 100*time.Millisecond, "how late we may see it")
	return func() report {
		c, body, err := t.get(fmt.Sprintf("/end?how=%s&after_ms=%d", url.QueryEscape(*how), after.Milliseconds()))
		if err != nil {
			t.wrong("%v", err)
			return report{}
		}
		defer c.Close()
		text, err := io.ReadAll(body)
		now := time.Now().UnixNano()
		seen := "fin"
		if errors.Is(err, syscall.ECONNRESET) {
			seen = "rst"
		} else if err != nil {
			t.wrong("%v", err)
		}
		var at int64
		if _, err := fmt.Sscanf(string(text), "ends %d", &at); err != nil {
			t.wrong("the service said %q", text)
			return report{}
		}
		late := time.Duration(now - at)
		if late > *limit {
			t.wrong("seen after %v", late)
		}
		return report{"how": *how, "seen_how": seen, "seen_after_ms": ms(late)}
	}
}
