// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"mltunnel/tests/peer/tools/stream"
)

// serveRaw answers a line protocol on plain TCP, for what HTTP would hide. The first line is
// "COMMAND ID [ARGUMENT...]"; ID goes to the event log:
//
//	sink ID           reads to the end; after a FIN answers "LENGTH\n"
//	echo ID           sends all back, then FIN
//	source ID N SEED  sends N bytes of stream SEED, then FIN
//	hold ID           reads nothing
//	close ID, rst ID  ends at once
func (n *node) serveRaw(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go n.serveRawConn(c)
	}
}

func (n *node) serveRawConn(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	line, err := in.ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) < 2 {
		fmt.Fprintf(c, "want COMMAND ID\n")
		return
	}
	h := newHeld(n.log, c, in, words[0], words[1])
	switch words[0] {
	case "sink":
		size, _ := io.Copy(io.Discard, in)
		how := howEnded(c)
		h.bytes.Store(size)
		h.leave("end", how)
		if how == "fin" {
			fmt.Fprintf(c, "%d\n", size)
		}
	case "echo":
		size, _ := io.Copy(c, in)
		h.bytes.Store(size)
		h.leave("end", howEnded(c))
	case "source":
		if err := rawSource(h, words[2:]); err != nil {
			fmt.Fprintf(c, "%v\n", err)
		}
	case "hold":
		shrinkReceiveBuffer(c)
		h.hold(holdSeconds * time.Second)
	case "close":
		endNow(c, "fin")
	case "rst":
		endNow(c, "rst")
	default:
		fmt.Fprintf(c, "no such command: %q\n", words[0])
	}
}

func rawSource(h *held, args []string) error {
	if len(args) != 2 {
		return errors.New("want N SEED")
	}
	size, err1 := strconv.ParseInt(args[0], 10, 64)
	seed, err2 := strconv.ParseUint(args[1], 10, 64)
	if err1 != nil || err2 != nil {
		return errors.New("N and SEED are numbers")
	}
	go h.watch()
	_, err := io.CopyN(h.Conn, stream.NewSource(seed), size)
	if err != nil {
		h.leave("abort", howEnded(h.Conn))
		return nil
	}
	h.end()
	return nil
}

func endNow(c net.Conn, how string) {
	if how == "rst" {
		// Linger 0 makes close send RST; it fails only on a connection that has ended already.
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	c.Close()
}

func shrinkReceiveBuffer(c net.Conn) {
	_ = c.(*net.TCPConn).SetReadBuffer(holdReceiveBuffer) // a larger buffer only stalls later
}
