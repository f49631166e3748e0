package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"orcacache.dev/bench/content"
)

// Large enough for the data that a fast server sends between two reads, which saves system calls.
const readBytes = 512 << 10

// A connection is opened when it is needed, and again after a failure.
type connection struct {
	host    string
	timeout time.Duration
	tcp     *net.TCPConn
	raw     syscall.RawConn
	heads   *bufio.Reader
	buffer  []byte
}

// A target is the part of an object that one request reads: [from, to).
type target struct {
	key      string
	object   content.Object
	from, to int64
	isRange  bool
}

type timing struct{ firstByte, total time.Duration }

// refused is a 503 response with Retry-After.
type refused struct{ retryAfter time.Duration }

func (refused) Error() string { return "status 503" }

func newConnection(host string, timeout time.Duration) *connection {
	return &connection{host: host, timeout: timeout, buffer: make([]byte, readBytes)}
}

func (c *connection) dial() error {
	dialed, err := net.DialTimeout("tcp", c.host, c.timeout)
	if err != nil {
		return err
	}
	c.tcp = dialed.(*net.TCPConn)
	c.heads = bufio.NewReaderSize(c.tcp, 4096)
	c.raw, err = c.tcp.SyscallConn()
	return err
}

func (c *connection) close() {
	if c.tcp != nil {
		c.tcp.Close()
		c.tcp = nil
	}
}

// get reads one target completely and returns the times of its first and last byte.
func (c *connection) get(t target, verify bool) (timing, error) {
	took, err := c.exchange(t, verify)
	if err != nil {
		c.close()
	}
	return took, err
}

func (c *connection) exchange(t target, verify bool) (took timing, err error) {
	if c.tcp == nil {
		if err = c.dial(); err != nil {
			return took, err
		}
	}
	started := time.Now()
	if err = c.tcp.SetDeadline(started.Add(c.timeout)); err != nil {
		return took, err
	}
	request := append(append(append(c.buffer[:0], "GET /"...), t.key...), " HTTP/1.1\r\nHost: "...)
	request = append(append(request, c.host...), "\r\n"...)
	if t.isRange {
		request = fmt.Appendf(request, "Range: bytes=%d-%d\r\n", t.from, t.to-1)
	}
	if _, err = c.tcp.Write(append(request, "\r\n"...)); err != nil {
		return took, err
	}
	keepAlive, err := c.head(t)
	if err != nil {
		return took, err
	}
	if _, err = c.heads.Peek(1); err != nil {
		return took, err
	}
	took.firstByte = time.Since(started)
	if err = c.body(t, verify); err != nil {
		return took, err
	}
	took.total = time.Since(started)
	if !keepAlive {
		c.close()
	}
	return took, nil
}

// head accepts only a response with exactly the length of the target.
func (c *connection) head(t target) (keepAlive bool, err error) {
	line, err := c.heads.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	words := strings.SplitN(string(line), " ", 3)
	if len(words) < 2 {
		return false, fmt.Errorf("no status line")
	}
	status := words[1]
	lengthBytes := int64(-1)
	retryAfterSeconds := 0
	keepAlive = true
	for {
		if line, err = c.heads.ReadSlice('\n'); err != nil {
			return false, err
		}
		name, value, isField := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		if !isField {
			break
		}
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if lengthBytes, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return false, err
			}
		case bytes.EqualFold(name, []byte("connection")):
			keepAlive = !bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		case bytes.EqualFold(name, []byte("retry-after")):
			if retryAfterSeconds, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return false, err
			}
		}
	}
	if status == "503" && retryAfterSeconds > 0 {
		return false, refused{time.Duration(retryAfterSeconds) * time.Second}
	}
	want := "200"
	if t.isRange {
		want = "206"
	}
	if status != want {
		return false, fmt.Errorf("status %s", status)
	}
	if lengthBytes != t.to-t.from {
		return false, fmt.Errorf("Content-Length %d instead of %d", lengthBytes, t.to-t.from)
	}
	return keepAlive, nil
}

func (c *connection) body(t target, verify bool) error {
	at := t.from
	take := func(bytes []byte) error {
		if verify && !t.holds(at, bytes) {
			return fmt.Errorf("the bytes differ from the object")
		}
		at += int64(len(bytes))
		return nil
	}
	early, err := c.heads.Peek(min(c.heads.Buffered(), int(t.to-t.from)))
	if err != nil {
		return err
	}
	if err = take(early); err != nil {
		return err
	}
	if _, err = c.heads.Discard(len(early)); err != nil {
		return err
	}
	for at < t.to {
		room := c.buffer[:min(int64(len(c.buffer)), t.to-at)]
		if verify {
			length, err := c.tcp.Read(room)
			if err != nil {
				return err
			}
			if err = take(room[:length]); err != nil {
				return err
			}
			continue
		}
		length, err := c.drop(room)
		if err != nil {
			return err
		}
		at += int64(length)
	}
	return nil
}

// drop discards bytes of the socket without copying them.
func (c *connection) drop(room []byte) (int, error) {
	var length int
	var failure error
	err := c.raw.Read(func(fd uintptr) bool {
		length, _, failure = syscall.Recvfrom(int(fd), room, syscall.MSG_TRUNC|syscall.MSG_DONTWAIT)
		return failure != syscall.EAGAIN && failure != syscall.EINTR
	})
	if err == nil {
		err = failure
	}
	if err == nil && length == 0 {
		err = io.ErrUnexpectedEOF
	}
	return length, err
}

func (t target) holds(at int64, got []byte) bool {
	for len(got) > 0 {
		want := t.object.At(at, int64(len(got)))
		if !bytes.Equal(got[:len(want)], want) {
			return false
		}
		at += int64(len(want))
		got = got[len(want):]
	}
	return true
}
