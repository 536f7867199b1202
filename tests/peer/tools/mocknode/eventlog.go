// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// An event is something a peer did that no answer can tell of.
type event struct {
	What  string `json:"what"` // see README.md
	Path  string `json:"path"`
	ID    string `json:"id"`            // the caller's id= parameter
	How   string `json:"how,omitempty"` // "fin" or "rst"
	Bytes int64  `json:"bytes"`         // sent before it, or received where the route only reads
	AtNS  int64  `json:"at_ns"`         // CLOCK_REALTIME
}

// eventLog keeps the last maxEvents events.
type eventLog struct {
	mu      sync.Mutex
	events  []event
	changed chan struct{} // closed and replaced at each new event
}

const maxEvents = 10_000

func newEventLog() *eventLog {
	return &eventLog{changed: make(chan struct{})}
}

func (l *eventLog) add(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == maxEvents {
		l.events = append(l.events[:0], l.events[1:]...)
	}
	l.events = append(l.events, e)
	close(l.changed)
	l.changed = make(chan struct{})
}

// find returns the events with this id (all when it is empty) and a channel that tells of the next.
func (l *eventLog) find(id string) ([]event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := []event{}
	for _, e := range l.events {
		if id == "" || e.ID == id {
			found = append(found, e)
		}
	}
	return found, l.changed
}

// serve answers GET /events-log?id=ID&n=N&wait_ms=T: at once when there are N events, else after at
// most T milliseconds with what there is.
func (l *eventLog) serve(w http.ResponseWriter, r *http.Request) {
	id := r.FormValue("id")
	n, err1 := intParam(r, "n", 1)
	waitMS, err2 := intParam(r, "wait_ms", 0)
	if err1 != nil || err2 != nil {
		http.Error(w, "n and wait_ms are numbers", http.StatusBadRequest)
		return
	}
	timeout := time.After(time.Duration(waitMS) * time.Millisecond)
	for {
		found, changed := l.find(id)
		if len(found) >= int(n) {
			answer(w, found)
			return
		}
		select {
		case <-changed:
		case <-timeout:
			answer(w, found)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func intParam(r *http.Request, name string, absent int64) (int64, error) {
	v := r.FormValue(name)
	if v == "" {
		return absent, nil
	}
	return strconv.ParseInt(v, 10, 64)
}
