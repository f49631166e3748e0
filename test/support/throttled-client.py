"""Reads one path at a steady rate with a small receive buffer, which Node cannot set. Prints a line at its end."""

import socket
import ssl
import sys
import time

port, bytes_per_second, is_tls, path, seconds = sys.argv[1:]
rate = float(bytes_per_second)
raw = socket.socket()
# The kernel doubles it. What it holds, the server cannot see the client read.
raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
raw.connect(("127.0.0.1", int(port)))
if is_tls == "tls":
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    raw = context.wrap_socket(raw)
raw.sendall(f"GET {path} HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n".encode())
started = time.monotonic()
ends = started + float(seconds)
got = 0
outcome = "left"
try:
    while time.monotonic() < ends:
        data = raw.recv(max(500, int(rate / 20)))
        if not data:
            outcome = "ended"
            break
        got += len(data)
        time.sleep(max(0, min(started + got / rate, ends) - time.monotonic()))
except OSError as error:
    outcome = f"error: {error}"
print(outcome, got)
