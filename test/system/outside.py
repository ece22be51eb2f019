"""The world outside of the game: a chain that mints, and a mailbox, on loopback, which keep what they are told."""
import json
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

from databases import free_port


class Chain:
    """Mints a token for each key once, and gives it to whoever asks again. `losing`: so many answers are lost after
    the token is minted. Who asks waits while it is not `open`."""

    def __init__(self):
        self.asked, self.minted, self.losing = [], {}, 0
        self.open = threading.Event()
        self.open.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.open.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def mint(self, address, kind, key):
        self.asked.append(key)
        self.open.wait(30)
        return self.minted.setdefault(key, {"token_id": f"T-{key[:16]}", "bonus_percent": 7,
                                            "address": address, "kind": kind})

    def handler(self):
        chain = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                token = chain.mint(*call["params"])
                if chain.losing:
                    chain.losing -= 1
                    return  # closed without a word
                body = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": token}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        return Handler


class Mailbox:
    """Refuses so many mails for now, `refusing`, and keeps the others."""

    def __init__(self):
        self.mails, self.refusing = [], 0
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self.address = f"127.0.0.1:{self.controller.port}"

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()

    async def handle_DATA(self, server, session, envelope):
        if self.refusing:
            self.refusing -= 1
            return "451 come again"
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"

    def to(self, address):
        return [mail for mail in self.mails if mail["To"] == address]
