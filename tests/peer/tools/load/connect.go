// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"sync"
	"time"

	"mltunnel/tests/peer/tools/stream"
)

// What each short request asks for: enough to see whose answer it is.
const smallAnswer = 64

func checkSmall(body io.Reader, seed uint64) error {
	_, err := stream.Check(body, seed, smallAnswer, io.Discard)
	return err
}

func smallPath(seed uint64) string {
	return fmt.Sprintf("/bytes?n=%d&seed=%d", smallAnswer, seed)
}

// connect: opens count connections within a time, one GET on each; none is closed before all are
// answered.
func connectCommand(f *flag.FlagSet, t *target) func() report {
	count := f.Int("count", 1000, "connections")
	within := f.Duration("within", time.Second, "time in which all are opened")
	return func() report {
		start := time.Now()
		var answered sync.WaitGroup
		answered.Add(*count)
		opened := make([]time.Duration, *count)
		took := make([]time.Duration, *count)
		each(*count, func(i int) {
			// The last one starts early enough to be open in time.
			time.Sleep(*within * 9 / 10 * time.Duration(i) / time.Duration(*count))
			asked := time.Now()
			c, err := t.dial()
			opened[i] = time.Since(start)
			if err == nil {
				defer c.Close()
				err = askSmall(c, uint64(i))
			}
			took[i] = time.Since(asked)
			if err != nil {
				t.wrong("connection %d: %v", i, err)
			}
			answered.Done()
			answered.Wait()
		})
		open := spread(opened)
		if open["max"].(float64) > ms(*within) {
			t.wrong("opening them took %v ms", open["max"])
		}
		return report{"count": *count, "opened_within_ms": open["max"], "answer_ms": spread(took)}
	}
}

func askSmall(c *client, seed uint64) error {
	if err := c.ask("GET", smallPath(seed), -1); err != nil {
		return err
	}
	body, err := c.answer()
	if err != nil {
		return err
	}
	return checkSmall(body, seed)
}

// churn: count connections with one GET each, a few at a time, one after the other.
func churnCommand(f *flag.FlagSet, t *target) func() report {
	count := f.Int("count", 2000, "connections in all")
	parallel := f.Int("parallel", 4, "at a time")
	return func() report {
		took := make([]time.Duration, *count)
		start := time.Now()
		each(*parallel, func(worker int) {
			for i := worker; i < *count; i += *parallel {
				asked := time.Now()
				c, err := t.dial()
				if err == nil {
					err = askSmall(c, uint64(i))
					c.Close()
				}
				took[i] = time.Since(asked)
				if err != nil {
					t.wrong("connection %d: %v", i, err)
				}
			}
		})
		perSecond := float64(*count) / time.Since(start).Seconds()
		return report{"count": *count, "per_s": perSecond, "answer_ms": spread(took)}
	}
}
