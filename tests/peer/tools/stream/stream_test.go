// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestSourceIsTheSameHoweverItIsRead(t *testing.T) {
	whole := make([]byte, 1000)
	NewSource(7).Read(whole)
	for step := 1; step < 20; step++ {
		var parts []byte
		s := NewSource(7)
		for len(parts) < len(whole) {
			p := make([]byte, min(step, len(whole)-len(parts)))
			s.Read(p)
			parts = append(parts, p...)
		}
		if !bytes.Equal(parts, whole) {
			t.Fatalf("reads of %d bytes give another stream", step)
		}
	}
	other := make([]byte, 1000)
	NewSource(8).Read(other)
	if bytes.Equal(other, whole) {
		t.Fatal("the seed does not matter")
	}
}

func TestCheckFindsLossDamageAndSurplus(t *testing.T) {
	whole := make([]byte, 200_000)
	NewSource(7).Read(whole)
	damaged := bytes.Clone(whole)
	damaged[123_456] ^= 1
	cases := []struct {
		name string
		in   []byte
		want string
	}{
		{"whole", whole, ""},
		{"short", whole[:199_999], "ended after 199999"},
		{"long", append(bytes.Clone(whole), 0), "more than"},
		{"damaged", damaged, "damaged between"},
	}
	for _, c := range cases {
		_, err := Check(bytes.NewReader(c.in), 7, 200_000, io.Discard)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestEventHasItsSizeAndAnyDamageShows(t *testing.T) {
	for _, size := range []int{MinEventSize, 850, 5000} {
		e := Event{Stream: 499, Seq: 29, AtNS: 1234567890123456789}
		wire := e.Append(nil, size)
		if len(wire) != size || !bytes.HasSuffix(wire, []byte("\n\n")) {
			t.Fatalf("%d bytes instead of %d", len(wire), size)
		}
		line := wire[:size-2]
		if got, err := Parse(line); err != nil || got != e {
			t.Fatalf("parsed %v, %v", got, err)
		}
		for i := range line {
			line[i] ^= 0x40
			if _, err := Parse(line); err == nil {
				t.Fatalf("damage of byte %d of %d does not show", i, size)
			}
			line[i] ^= 0x40
		}
	}
}
