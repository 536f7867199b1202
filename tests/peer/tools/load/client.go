// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// client is one connection that carries one request. Nothing of net/http's pool: when a connection
// is opened, how it is closed and when bytes are read is what the tests are about.
type client struct {
	*net.TCPConn
	in *bufio.Reader
}

// dial opens a connection with the target's time limit on all it does.
func (t *target) dial() (*client, error) {
	return t.dialBuffer(0)
}

// dialBuffer also bounds the kernel's receive buffer, so that not reading is felt soon; 0 is default.
func (t *target) dialBuffer(receiveBuffer int) (*client, error) {
	d := net.Dialer{Timeout: t.timeout}
	if receiveBuffer > 0 {
		// Before connect, or the window has been promised already.
		d.ControlContext = func(_ context.Context, _, _ string, rc syscall.RawConn) error {
			var err error
			rc.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
			})
			return err
		}
	}
	c, err := d.Dial("tcp", t.addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(t.timeout))
	return &client{TCPConn: c.(*net.TCPConn), in: bufio.NewReader(c)}, nil
}

// ask sends a request's head. A body of length bytes is to follow; -1 is a request without one.
func (c *client) ask(method, path string, length int64) error {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: mocknode\r\nConnection: close\r\n", method, path)
	if length >= 0 {
		head += fmt.Sprintf("Content-Length: %d\r\n", length)
	}
	_, err := io.WriteString(c, head+"\r\n")
	return err
}

// answer reads the head of the answer, which must be 200. The body is read from what it returns.
func (c *client) answer() (io.Reader, error) {
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(r.Body, 200))
		return nil, fmt.Errorf("status %d: %s", r.StatusCode, text)
	}
	return r.Body, nil
}

// get does a whole GET on a connection of its own. The caller closes it.
func (t *target) get(path string) (*client, io.Reader, error) {
	c, err := t.dial()
	if err != nil {
		return nil, nil, err
	}
	if err = c.ask("GET", path, -1); err == nil {
		var body io.Reader
		if body, err = c.answer(); err == nil {
			return c, body, nil
		}
	}
	c.Close()
	return nil, nil, err
}

// abort ends the connection from our side with a FIN or a RST and returns when, by CLOCK_REALTIME.
func (c *client) abort(how string) (int64, error) {
	var err error
	if how == "rst" {
		err = c.SetLinger(0)
		at := time.Now().UnixNano()
		c.Close()
		return at, err
	}
	// Not close: with bytes unread the kernel would turn it into a RST.
	at := time.Now().UnixNano()
	return at, c.CloseWrite()
}
