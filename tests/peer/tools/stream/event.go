// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"errors"
	"hash/crc32"
	"strconv"
)

// Event is one server-sent event of a numbered stream. On the wire it is one line and an empty one:
//
//	data: STREAM SEQ AT_NS CRC PADDING
//
// CRC is CRC-32C over all the rest of the line after "data: ", in eight hex digits.
type Event struct {
	Stream uint64
	Seq    int
	AtNS   int64 // CLOCK_REALTIME just before it was written
}

// MinEventSize holds the longest numbers and some padding.
const MinEventSize = 96

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	dataPrefix = []byte("data: ")
	letters    = []byte("abcdefghijklmnopqrstuvwxyz")
)

// ErrDamaged says that a line is no event or not the one that was sent.
var ErrDamaged = errors.New("damaged event")

// Append adds the event's size bytes to dst.
func (e Event) Append(dst []byte, size int) []byte {
	start := len(dst)
	dst = append(dst, dataPrefix...)
	body := len(dst)
	dst = strconv.AppendUint(dst, e.Stream, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(e.Seq), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, e.AtNS, 10)
	dst = append(dst, ' ')
	crc := len(dst)
	dst = append(dst, "00000000 "...)
	pad := len(dst)
	// The padding differs from event to event, so that a mix of two does not look whole.
	first := e.Seq % len(letters)
	for left := size - 2 - (pad - start); left > 0; first = 0 {
		n := min(left, len(letters)-first)
		dst = append(dst, letters[first:first+n]...)
		left -= n
	}
	sum := crc32.Update(crc32.Checksum(dst[body:crc], castagnoli), castagnoli, dst[pad:])
	const hex = "0123456789abcdef"
	for i := range 8 {
		dst[crc+i] = hex[sum>>(28-4*i)&15]
	}
	return append(dst, "\n\n"...)
}

// Parse takes an event's line, without its newline.
func Parse(line []byte) (Event, error) {
	var e Event
	body, ok := bytes.CutPrefix(line, dataPrefix)
	if !ok {
		return e, ErrDamaged
	}
	var field [4][]byte
	rest := body
	for i := range field {
		if field[i], rest, ok = bytes.Cut(rest, []byte{' '}); !ok {
			return e, ErrDamaged
		}
	}
	head := len(field[0]) + len(field[1]) + len(field[2]) + 3
	sum := crc32.Update(crc32.Checksum(body[:head], castagnoli), castagnoli, rest)
	want, err := strconv.ParseUint(string(field[3]), 16, 32)
	if err != nil || uint32(want) != sum {
		return e, ErrDamaged
	}
	stream, err1 := strconv.ParseUint(string(field[0]), 10, 64)
	seq, err2 := strconv.Atoi(string(field[1]))
	at, err3 := strconv.ParseInt(string(field[2]), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return e, ErrDamaged
	}
	return Event{Stream: stream, Seq: seq, AtNS: at}, nil
}
