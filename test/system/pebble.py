"""Debian's pebble, an ACME server that trusts nobody, with names that all lead here; who answers its
challenges; and who stands between it and us."""
import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import urllib.request

from wire import until

LIFETIME_SECONDS = 90 * 24 * 3600


def free_ports(count):
    """Ports that nobody has now; for programs that cannot say which they were given."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def make_authority_of_its_own(folder):
    """A certificate for the servers on this machine, which is its own authority: cert.pem and key.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                    folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)


class Pebble:
    """Entered when it answers, gone when it is left. http, tls: the ports at which it looks for a name."""

    def __init__(self, folder, *, http, tls, lifetime=LIFETIME_SECONDS, external=None, refused_nonces=5):
        self.folder = folder
        self.port, self.management, self.dns, self.dns_management = free_ports(4)
        make_authority_of_its_own(folder)
        self.ca = folder / "cert.pem"
        self.directory = f"https://localhost:{self.port}/dir"
        (folder / "pebble.json").write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(folder / "cert.pem"), "privateKey": str(folder / "key.pem"),
            "httpPort": http, "tlsPort": tls, "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(external),
            "externalAccountMACKeys": external or {}, "certificateValidityPeriod": lifetime}}))
        self.environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0",
                            "PEBBLE_WFE_NONCEREJECT": str(refused_nonces)}
        self.processes = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """With nothing of what it was before: other roots, no accounts."""
        names = ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.dns}", "-http01", "", "-https01",
                 "", "-tlsalpn01", "", "-management", f"127.0.0.1:{self.dns_management}",
                 "-defaultIPv6", ""]
        pebble = ["pebble", "-config", self.folder / "pebble.json", "-strict", "-dnsserver",
                  f"127.0.0.1:{self.dns}"]
        with open(self.folder / "pebble.log", "ab") as log:
            for command in names, pebble:
                self.processes.append(subprocess.Popen(
                    command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment))
        until(lambda: answers(self.port) and answers(self.management), "pebble answers", 30)

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()

    def root(self):
        """The authority's own certificate, which a client would have to trust."""
        context = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(f"https://localhost:{self.management}/roots/0",
                                    context=context) as answer:
            return answer.read().decode()

    def options(self, *names, directory=None, **more):
        """What an onebox.toml says of it."""
        options = {"auto": list(names), "auto_directory": directory or self.directory,
                   "auto_ca": str(self.ca), **more}
        return "[tls]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())


def answers(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


class Answerer:
    """Answers challenges by the files that are there, on two ports of its own, as a front would."""

    def __init__(self):
        self.folder = None  # DATA/acme, as soon as it is known
        self.refuses = False
        answerer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                file = answerer.folder / "http" / self.path.rpartition("/")[2]
                found = file.is_file() and not answerer.refuses
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(file.read_bytes() if found else b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http = self.server.server_address[1]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tls = self.listener.getsockname()[1]
        for run in self.server.serve_forever, self.shake_hands:
            threading.Thread(target=run, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.listener.close()

    def shake_hands(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return  # closed
            with connection, contextlib.suppress(OSError):  # it left, or did not like what it saw
                for file in self.folder.glob("alpn/*.pem"):  # one at a time, in these tests
                    self.shake(connection, file)

    def shake(self, connection, file):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.set_alpn_protocols(["acme-tls/1"])
        if not self.refuses:
            context.wrap_socket(connection, server_side=True).close()


class Between:
    """Stands between us and a pebble, and does something when the answer to a question has come.

    after(path): called before the answer is passed on; where it says so it never is.
    """

    def __init__(self, pebble, after):
        between = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def ask(self):
                between.asked.append(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                connection = http.client.HTTPSConnection(
                    "localhost", pebble.port, context=ssl.create_default_context(cafile=pebble.ca))
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                if after(self.path):
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_HEAD = do_POST = ask

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pebble.ca, pebble.folder / "key.pem")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.handle_error = lambda *_: None  # clients that were killed
        self.directory = f"https://localhost:{self.server.server_address[1]}/dir"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def kill(pid):
    os.kill(pid, signal.SIGKILL)
