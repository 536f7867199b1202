// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"time"

	"mltunnel/tests/peer/tools/stream"
)

// get: one GET; status 200 and a whole body.
func getCommand(f *flag.FlagSet, t *target) func() report {
	path := f.String("path", "/health", "what to get")
	return func() report {
		c, body, err := t.get(*path)
		if err != nil {
			t.wrong("%v", err)
			return report{}
		}
		defer c.Close()
		text, err := io.ReadAll(body)
		if err != nil {
			t.wrong("body: %v", err)
		}
		return report{"bytes": len(text), "body": string(text[:min(len(text), 1000)])}
	}
}

// sendStream writes the first size bytes of stream seed.
func sendStream(w io.Writer, seed uint64, size int64) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(stream.NewSource(seed), size),
		make([]byte, 64<<10))
	return err
}

// transfer is what echo, download and upload have in common: count connections at once, each with
// a stream of its own.
func transfer(f *flag.FlagSet, t *target, one func(seed uint64, size int64) (int64, string, error)) func() report {
	size := f.Int64("size", 10<<20, "bytes on each connection")
	count := f.Int("count", 1, "connections at once")
	seed := f.Uint64("seed", 1, "stream of the first connection")
	every := f.Duration("every", 0, "time between the starts of two connections; 0 is all at once")
	return func() report {
		t.timeout += time.Duration(*count) * *every
		sums := make([]string, *count)
		bytes := make([]int64, *count)
		start := time.Now()
		each(*count, func(i int) {
			time.Sleep(time.Duration(i) * *every)
			n, sum, err := one(*seed+uint64(i), *size)
			if err != nil {
				t.wrong("connection %d: %v", i, err)
			}
			sums[i], bytes[i] = sum, n
		})
		var total int64
		for _, n := range bytes {
			total += n
		}
		mib := float64(total) / (1 << 20) / time.Since(start).Seconds()
		return report{"bytes": total, "mib_per_s": mib, "sha256": sums[0], "count": *count}
	}
}

// echo: POST a stream, read it back while it goes.
func echoCommand(f *flag.FlagSet, t *target) func() report {
	return transfer(f, t, func(seed uint64, size int64) (int64, string, error) {
		c, err := t.dial()
		if err != nil {
			return 0, "", err
		}
		defer c.Close()
		sent := make(chan error, 1)
		if err := c.ask("POST", "/echo", size); err != nil {
			return 0, "", err
		}
		go func() { sent <- sendStream(c, seed, size) }()
		body, err := c.answer()
		if err != nil {
			return 0, "", err
		}
		sum := sha256.New()
		n, err := stream.Check(body, seed, size, sum)
		if err == nil {
			err = <-sent
		}
		return n, fmt.Sprintf("%x", sum.Sum(nil)), err
	})
}

// download: GET a stream.
func downloadCommand(f *flag.FlagSet, t *target) func() report {
	return transfer(f, t, func(seed uint64, size int64) (int64, string, error) {
		c, body, err := t.get(fmt.Sprintf("/bytes?n=%d&seed=%d", size, seed))
		if err != nil {
			return 0, "", err
		}
		defer c.Close()
		sum := sha256.New()
		n, err := stream.Check(body, seed, size, sum)
		return n, fmt.Sprintf("%x", sum.Sum(nil)), err
	})
}

// What flood asks for: more than anybody takes.
const endless = 1 << 50

// flood: one download that has no end; all that came in its time must be right.
func floodCommand(f *flag.FlagSet, t *target) func() report {
	seconds := f.Int("seconds", 10, "time to read")
	return func() report {
		limit := time.Duration(*seconds) * time.Second
		t.timeout += limit
		c, body, err := t.get(fmt.Sprintf("/bytes?n=%d&seed=1", endless))
		if err != nil {
			t.wrong("%v", err)
			return report{}
		}
		defer c.Close()
		src, start, total := stream.NewSource(1), time.Now(), 0
		got, want := make([]byte, 64<<10), make([]byte, 64<<10)
		for time.Since(start) < limit {
			n, err := body.Read(got)
			src.Read(want[:n])
			if !bytes.Equal(got[:n], want[:n]) {
				t.wrong("damaged between bytes %d and %d", total, total+n)
				break
			}
			total += n
			if err != nil {
				t.wrong("after %d bytes: %v", total, err)
				break
			}
		}
		return report{"bytes": total, "mib_per_s": float64(total) / (1 << 20) / time.Since(start).Seconds()}
	}
}

// upload: POST a stream; the node tells the SHA-256 of what came.
func uploadCommand(f *flag.FlagSet, t *target) func() report {
	return transfer(f, t, func(seed uint64, size int64) (int64, string, error) {
		c, err := t.dial()
		if err != nil {
			return 0, "", err
		}
		defer c.Close()
		if err := c.ask("POST", "/sink", size); err != nil {
			return 0, "", err
		}
		sum := sha256.New()
		if err := sendStream(io.MultiWriter(c, sum), seed, size); err != nil {
			return 0, "", err
		}
		body, err := c.answer()
		if err != nil {
			return 0, "", err
		}
		var got struct {
			Length int64
			SHA256 string
		}
		if err := json.NewDecoder(body).Decode(&got); err != nil {
			return 0, "", err
		}
		want := fmt.Sprintf("%x", sum.Sum(nil))
		if got.Length != size || got.SHA256 != want {
			err = fmt.Errorf("%d bytes came with SHA-256 %s instead of %d with %s", got.Length, got.SHA256, size, want)
		}
		return got.Length, got.SHA256, err
	})
}
