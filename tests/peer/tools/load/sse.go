// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"mltunnel/tests/peer/tools/stream"
)

// tally is what one event stream brought.
type tally struct {
	received, lost, damaged, reordered int

	late    []time.Duration // from the write in the node to the read here
	slipped []time.Duration // how far the node itself was behind its schedule
}

// Streams that start together wait so long after the last was asked for: time for the slowest to get there.
const openingTime = 500 * time.Millisecond

// sse: many event streams at once, every event counted and checked.
func sseCommand(f *flag.FlagSet, t *target) func() report {
	streams := f.Int("streams", 500, "streams at once")
	rate := f.Int("rate", 30, "events per second on each")
	seconds := f.Int("seconds", 10, "length of each stream")
	size := f.Int("size", 850, "bytes of an event")
	ramp := f.Duration("ramp", time.Second, "time over which the streams are opened")
	together := f.Bool("together", false, "event i of all streams is due at the same moment")
	return func() report {
		t.timeout += time.Duration(*seconds) * time.Second
		debug.SetGCPercent(800) // the heap is small; collections would show in the latencies
		events := *rate * *seconds
		tallies := make([]tally, *streams)
		start := int64(0)
		if *together {
			start = time.Now().Add(*ramp + openingTime).UnixNano()
		}
		each(*streams, func(i int) {
			time.Sleep(*ramp * time.Duration(i) / time.Duration(*streams))
			y := &tallies[i]
			err := y.run(t, uint64(i), events, *rate, *size, start)
			if err != nil {
				t.wrong("stream %d: %v", i, err)
			}
		})
		return sumUp(t, tallies, events)
	}
}

func (y *tally) run(t *target, number uint64, events, rate, size int, start int64) error {
	y.late = make([]time.Duration, 0, events)
	y.slipped = make([]time.Duration, 0, events)
	y.lost = events
	path := fmt.Sprintf("/sse?events=%d&rate=%d&size=%d&stream=%d", events, rate, size, number)
	if start != 0 {
		path += fmt.Sprintf("&start_ns=%d", start)
	}
	c, body, err := t.get(path)
	if err != nil {
		return err
	}
	defer c.Close()
	err = y.read(bufio.NewReaderSize(body, size), number, rate, size)
	y.lost = events - y.received
	return err
}

// read takes events up to the end of the answer.
func (y *tally) read(in *bufio.Reader, number uint64, rate, size int) error {
	next := 0
	var first int64
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("after event %d: %w", next-1, err)
		}
		if len(line) == 1 {
			continue
		}
		now := time.Now().UnixNano()
		e, err := stream.Parse(line[:len(line)-1])
		if err != nil || e.Stream != number || len(line) != size-1 {
			y.damaged++
			continue
		}
		if e.Seq < next {
			y.reordered++
			continue
		}
		if first == 0 {
			first = e.AtNS - int64(e.Seq)*int64(time.Second)/int64(rate)
		}
		next = e.Seq + 1
		y.received++
		y.late = append(y.late, time.Duration(now-e.AtNS))
		due := first + int64(e.Seq)*int64(time.Second)/int64(rate)
		y.slipped = append(y.slipped, time.Duration(e.AtNS-due))
	}
}

func sumUp(t *target, tallies []tally, events int) report {
	var all tally
	for i := range tallies {
		y := &tallies[i]
		all.received += y.received
		all.lost += y.lost
		all.damaged += y.damaged
		all.reordered += y.reordered
		all.late = append(all.late, y.late...)
		all.slipped = append(all.slipped, y.slipped...)
	}
	if all.lost+all.damaged+all.reordered > 0 {
		t.wrong("%d events lost, %d damaged, %d reordered", all.lost, all.damaged, all.reordered)
	}
	return report{
		"streams": len(tallies), "events": len(tallies) * events, "received": all.received,
		"lost": all.lost, "damaged": all.damaged, "reordered": all.reordered,
		"latency_ms": spread(all.late), "node_late_ms": spread(all.slipped),
	}
}
