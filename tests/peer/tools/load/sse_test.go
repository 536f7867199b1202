// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"mltunnel/tests/peer/tools/stream"
)

// feed reads the events numbered in seqs; damage may change their bytes.
func feed(seqs []int, damage func([]byte) []byte) (tally, error) {
	const size = 200
	var wire []byte
	for _, seq := range seqs {
		e := stream.Event{Stream: 3, Seq: seq, AtNS: time.Now().UnixNano()}
		wire = e.Append(wire, size)
	}
	var y tally
	in := io.Reader(bytes.NewReader(damage(wire)))
	err := y.read(bufio.NewReaderSize(in, size), 3, 30, size)
	return y, err
}

func same(b []byte) []byte { return b }

func TestTallyCountsWhatIsWrong(t *testing.T) {
	flip := func(b []byte) []byte { b[250] ^= 1; return b }
	shorten := func(b []byte) []byte { return append(b[:350], b[351:]...) }
	cases := []struct {
		name                         string
		seqs                         []int
		damage                       func([]byte) []byte
		received, damaged, reordered int
	}{
		{"whole", []int{0, 1, 2}, same, 3, 0, 0},
		{"one lost", []int{0, 2}, same, 2, 0, 0},
		{"twice", []int{0, 1, 1, 2}, same, 3, 0, 1},
		{"swapped", []int{1, 0, 2}, same, 2, 0, 1},
		{"bit flipped", []int{0, 1, 2}, flip, 2, 1, 0},
		{"byte missing", []int{0, 1, 2}, shorten, 2, 1, 0},
	}
	for _, c := range cases {
		y, err := feed(c.seqs, c.damage)
		if err != nil || y.received != c.received || y.damaged != c.damaged || y.reordered != c.reordered {
			t.Errorf("%s: %d received, %d damaged, %d reordered, %v",
				c.name, y.received, y.damaged, y.reordered, err)
		}
	}
}

func TestTallyOfACutStreamIsAnError(t *testing.T) {
	_, err := feed([]int{0, 1, 2}, func(b []byte) []byte { return b[:500] })
	if !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
