// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"mltunnel/tests/peer/tools/stream"
)

// A user that does not read has a receive buffer of this size: what it does not take is the tunnel's.
const unreadBuffer = 64 << 10

// noread: opens downloads and reads nothing of them for a while, then, if asked, all of it.
func noReadCommand(f *flag.FlagSet, t *target) func() report {
	count := f.Int("count", 500, "downloads")
	size := f.Int64("size", 10<<20, "bytes of each")
	seconds := f.Int("seconds", 5, "time without reading")
	drain := f.Bool("drain", false, "then read and check everything")
	return func() report {
		t.timeout += time.Duration(*seconds) * time.Second
		clients := make([]*client, *count)
		each(*count, func(i int) {
			c, err := t.dialBuffer(unreadBuffer)
			if err == nil {
				clients[i] = c
				err = c.ask("GET", fmt.Sprintf("/bytes?n=%d&seed=%d", *size, i), -1)
			}
			if err != nil {
				t.wrong("download %d: %v", i, err)
			}
		})
		ready(fmt.Sprintf("%d downloads asked for", *count))
		time.Sleep(time.Duration(*seconds) * time.Second)
		var total atomic.Int64
		each(*count, func(i int) {
			c := clients[i]
			if c == nil {
				return
			}
			defer c.Close()
			body, err := c.answer()
			if err == nil && *drain {
				var n int64
				n, err = stream.Check(body, uint64(i), *size, io.Discard)
				total.Add(n)
			}
			if err != nil {
				t.wrong("download %d: %v", i, err)
			}
		})
		return report{"count": *count, "drained_bytes": total.Load()}
	}
}

// How long no upload may have moved before all of them count as stuck.
const stuckAfter = 500 * time.Millisecond

// stuck-upload: uploads to a service that does not read. Exact when each of them gets stuck, neither
// done nor ended by somebody, and stays so.
func stuckUploadCommand(f *flag.FlagSet, t *target) func() report {
	count := f.Int("count", 64, "uploads")
	size := f.Int64("size", 50_000_000, "bytes of each")
	seconds := f.Int("seconds", 5, "time to stay stuck")
	return func() report {
		var accepted atomic.Int64
		var isOver atomic.Bool
		over := make(chan struct{})
		go func() {
			defer close(over)
			waitUntilStuck(t, &accepted)
			ready(fmt.Sprintf("%d bytes taken, then stuck", accepted.Load()))
			time.Sleep(time.Duration(*seconds) * time.Second)
			isOver.Store(true)
		}()
		each(*count, func(i int) {
			c, err := t.dial()
			if err == nil {
				defer c.Close()
				err = stuckUpload(c, *size, &accepted, over)
			}
			if !isOver.Load() {
				t.wrong("upload %d ended early: %v", i, err)
			}
		})
		<-over
		return report{"count": *count, "accepted_bytes": accepted.Load()}
	}
}

// waitUntilStuck returns when the count has not moved for stuckAfter, or the time limit has passed.
func waitUntilStuck(t *target, accepted *atomic.Int64) {
	last, since := int64(-1), time.Now()
	for limit := time.Now().Add(t.timeout); time.Since(since) < stuckAfter; time.Sleep(20 * time.Millisecond) {
		if n := accepted.Load(); n != last {
			last, since = n, time.Now()
		}
		if time.Now().After(limit) {
			t.wrong("the uploads do not get stuck")
			break
		}
	}
}

// stuckUpload writes until the upload is whole, fails, or over is closed; then it lets go of it.
func stuckUpload(c *client, size int64, accepted *atomic.Int64, over <-chan struct{}) error {
	done := make(chan error, 1)
	c.SetDeadline(time.Time{})
	go func() {
		err := c.ask("POST", "/noread", size)
		if err == nil {
			err = sendStream(&countingWriter{c, accepted}, 1, size)
		}
		if err == nil {
			err = fmt.Errorf("all %d bytes were taken", size)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-over:
		c.abort("rst")
		return <-done
	}
}

// countingWriter counts bytes as the kernel takes them.
type countingWriter struct {
	to net.Conn
	n  *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.n.Add(int64(n))
	return n, err
}
