// SPDX-License-Identifier: Apache-2.0

// Package stream is what both ends of a test agree on: byte streams and events that can be checked
// without having been sent before.
package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Source is an endless stream of pseudo-random bytes that depends on the seed alone.
// Byte n of it is the same however it is read.
type Source struct {
	seed uint64
	off  uint64
}

func NewSource(seed uint64) *Source {
	return &Source{seed: seed}
}

// splitmix64: each word comes from its number, so there is no state to carry.
func (s *Source) word(i uint64) uint64 {
	z := s.seed + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Read fills p. It never fails.
func (s *Source) Read(p []byte) (int, error) {
	n := len(p)
	var word [8]byte
	for len(p) > 0 {
		at := s.off % 8
		if at == 0 && len(p) >= 8 {
			binary.LittleEndian.PutUint64(p, s.word(s.off/8))
			p = p[8:]
			s.off += 8
			continue
		}
		binary.LittleEndian.PutUint64(word[:], s.word(s.off/8))
		k := copy(p, word[at:])
		p = p[k:]
		s.off += uint64(k)
	}
	return n, nil
}

// Check reads r to its end and compares it with the first n bytes of the source. Each block read goes
// to also (a hash, say) first. It returns how many bytes came and were right.
func Check(r io.Reader, seed uint64, n int64, also io.Writer) (int64, error) {
	src := NewSource(seed)
	got := make([]byte, 64<<10)
	want := make([]byte, len(got))
	var done int64
	for {
		k, err := r.Read(got)
		also.Write(got[:k])
		if done+int64(k) > n {
			return done, fmt.Errorf("more than %d bytes came", n)
		}
		src.Read(want[:k])
		if !bytes.Equal(got[:k], want[:k]) {
			return done, fmt.Errorf("damaged between bytes %d and %d", done, done+int64(k))
		}
		done += int64(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			return done, fmt.Errorf("after %d of %d bytes: %w", done, n, err)
		}
	}
	if done != n {
		return done, fmt.Errorf("ended after %d of %d bytes", done, n)
	}
	return done, nil
}
