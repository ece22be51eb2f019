"""Servers to stand behind Onebox, that do to each request what its path says.

/ and others   what was received, as JSON: name, method, target, fields, body
/close         the connection closes, without a word
/half          it closes in the middle of the body
/mute          nothing comes
/late          a part of the body, and then nothing
/bytes/N       N bytes, with a length; /chunks/N in chunks; /until-close/N until the connection ends
/raw/HEX       these bytes, and the connection ends
/slow          the answer waits until release()
/echo          the connection becomes an echo, by Upgrade
"""
import base64
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading

from wire import Connection, until


class Server:
    """Of threads: one for each connection. `requests` has what came, in order."""

    def __init__(self, name="one", address=("127.0.0.1", 0), certificate=None):
        self.name, self.requests, self.connections = name, [], 0
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.released = threading.Event()
        self.family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.address = address
        self.open = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.stop()

    def start(self):
        """Again on the same address, after stop()."""
        self.listener = socket.socket(self.family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.address)
        self.listener.listen(128)
        self.address = self.listener.getsockname()
        self.ends = False
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def stop(self):
        if self.ends:
            return
        self.ends = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def url(self):
        if self.family == socket.AF_UNIX:
            return f"unix:{self.address}"
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.address[1]}"

    def accept(self):
        while not self.ends:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        if self.tls:
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
        with connection:
            reader = connection.makefile("rb")
            try:
                while self.answer(connection, reader):
                    pass
            except OSError:
                pass

    def answer(self, connection, reader):
        """Whether the connection goes on."""
        line = reader.readline()
        if not line:
            return False
        method, target, _ = line.decode("latin-1").split()
        fields = {}
        while (field := reader.readline().strip()):
            key, _, value = field.decode("latin-1").partition(":")
            fields[key.lower()] = value.strip()
        body = reader.read(int(fields.get("content-length", 0)))
        self.requests.append({"method": method, "target": target, "fields": fields})
        step, _, rest = target[1:].partition("/")
        size = int(rest) if rest.isdigit() else 0
        if step == "close":
            return False
        if step == "mute":
            self.released.wait(60)
            return False
        if step == "half":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            return False
        if step == "late":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            self.released.wait(60)
            return False
        if step == "raw":
            connection.sendall(bytes.fromhex(rest))
            return False
        if step == "slow":
            self.released.wait(60)
        if step == "echo":
            return self.echo(connection, reader, fields)
        if step == "chunks":
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for begin in range(0, size, 5000):
                piece = b"x" * min(5000, size - begin)
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")
            return True
        if step == "until-close":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size)
            return False
        content = b"x" * size if step == "bytes" else json.dumps(
            {"name": self.name, "method": method, "target": target, "fields": fields,
             "body": body.decode("latin-1")}).encode()
        head = (f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nX-Server: {self.name}\r\n"
                "Connection: X-Secret\r\nX-Secret: hop\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n")
        connection.sendall(head.encode() + (b"" if method == "HEAD" else content))
        return True

    def echo(self, connection, reader, fields):
        if fields.get("upgrade", "").lower() != "websocket":
            connection.sendall(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
            return True
        proof = hashlib.sha1((fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())
        accept = base64.b64encode(proof.digest())
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                           b"Upgrade: websocket\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\nhello")
        while data := reader.read1(65536):
            connection.sendall(data)
        return False

    def release(self):
        self.released.set()


class Process:
    """A Server in a process of its own, which can be killed. Entered when it listens."""

    def __init__(self, name, port=0):
        self.name, self.port = name, port

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, __file__, self.name, str(self.port)],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def certificate(folder, name="IP:127.0.0.1"):
    """A file with a key and a certificate that vouches for itself."""
    path = f"{folder}/server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", path, "-out", f"{folder}/cert.pem", "-days", "2", "-subj", "/CN=test",
                    "-addext", f"subjectAltName={name}"], check=True, capture_output=True)
    with open(path, "a") as both, open(f"{folder}/cert.pem") as cert:
        both.write(cert.read())
    return path


def gunicorn(folder, app="hello:app"):
    """Gunicorn as people run it, on a unix socket."""
    path = f"{folder}/gunicorn.sock"
    process = subprocess.Popen(["gunicorn", "--workers", "1", "--threads", "2", "--bind",
                                f"unix:{path}", "--chdir", "test/apps", app],
                               cwd=os.environ.get("ONEBOX_ROOT", "."),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        try:
            Connection(path).close()
            return True
        except OSError:
            return False
    until(listens, "gunicorn listens", 30)
    return process, f"unix:{path}"


if __name__ == "__main__":
    with Server(sys.argv[1], ("127.0.0.1", int(sys.argv[2]))) as server:
        print(server.address[1], flush=True)
        threading.Event().wait()
