"""An HTTP client that hides nothing: what is sent is sent as it stands, what is read is one
response at a time, to the byte."""
import socket
import time

ANSWER_SECONDS = 20


class Closed(Exception):
    """The server closed the connection where a response, or the rest of one, was due."""


class Response:
    def __init__(self, version, status, reason, fields, body):
        self.version, self.status, self.reason = version, status, reason
        self.fields, self.body = fields, body

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def __getitem__(self, name):
        values = self.all(name)
        assert len(values) < 2, f"{name} comes {len(values)} times: {values}"
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.fields} {len(self.body)}: {self.body[:200]!r}>"


class Connection:
    """A socket to the server, and what was read from it and belongs to the next response."""

    def __init__(self, address, seconds=ANSWER_SECONDS, tls=None, name="localhost"):
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout=seconds)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(seconds)
            self.socket.connect(str(address))
        if tls:  # an ssl.SSLContext, and whom the server is to be
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def finish(self):
        """No more will be sent; answers may still come."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)  # an SSLSocket's own could read no more
        return self

    def request(self, method, path, *fields, body=b"", version="1.1"):
        """Sends a request whose fields are given as lines, and a Host if none of them is one."""
        lines = [f"{method} {path} HTTP/{version}"]
        if not any(field.lower().startswith("host:") for field in fields):
            lines.append("Host: test")
        lines += fields
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.send("".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body)

    def get(self, path, *fields):
        return self.request("GET", path, *fields).response()

    def response(self, method="GET"):
        """The next final response. Interim ones (1xx) are for head() to see."""
        while True:
            version, status, reason, fields = self.head()
            if status >= 200:
                break
        found = Response(version, status, reason, fields, b"")
        if method == "HEAD" or status in (204, 304):
            return found
        if "chunked" in (found["Transfer-Encoding"] or ""):
            found.body = b"".join(self.chunks())
        elif found["Content-Length"] is not None:
            found.body = self.exactly(int(found["Content-Length"]))
        else:
            found.body = self.rest()
        return found

    def head(self):
        lines = self.until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        version, status, reason = (lines[0].split(" ", 2) + [""])[:3]
        assert version.startswith("HTTP/1."), lines[0]
        fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            assert colon and name and name == name.strip(), f"not a field: {line!r}"
            fields.append((name, value.strip(" \t")))
        return version, int(status), reason, fields

    def chunks(self):
        """Each chunk of a chunked body, as soon as it is there."""
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            data = self.exactly(size)
            assert self.exactly(2) == b"\r\n"
            yield data
        while self.until(b"\r\n") != b"\r\n":  # trailers
            pass

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        end = self.buffer.index(mark) + len(mark)
        found, self.buffer = self.buffer[:end], self.buffer[end:]
        return found

    def exactly(self, size):
        parts, missing = [], size
        while True:
            parts.append(self.buffer[:missing])
            missing -= len(parts[-1])
            self.buffer = self.buffer[len(parts[-1]):]
            if not missing:
                return b"".join(parts)
            self.more()

    def more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise Closed(f"closed after {self.buffer[:200]!r}")
        self.buffer += data

    def rest(self):
        """Everything up to the end of the connection."""
        parts = [self.buffer]
        self.buffer = b""
        while data := self.socket.recv(1 << 18):
            parts.append(data)
        return b"".join(parts)

    def is_closed(self):
        """Waits until the server closes, which it must; True if it sent nothing before that."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True


def until(found, what, seconds=ANSWER_SECONDS):
    """Asks again until found() is true, and returns what it found."""
    deadline = time.monotonic() + seconds
    while True:
        result = found()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.01)
