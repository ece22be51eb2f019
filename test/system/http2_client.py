"""A client of HTTP/2 that may say what it must not: python3-h2 without its own checks, and frames by
hand."""
import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.settings

from wire import ANSWER_SECONDS, Closed

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = \
    0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
ENHANCE_YOUR_CALM = 11


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def literal(name, value):
    """A field that is not indexed, without Huffman's code."""
    return b"\0%c%s%c%s" % (len(name), name, len(value), value)


def get_block(path=b"/", method=b"GET"):
    return b"".join(literal(name, value) for name, value in (
        (b":method", method), (b":scheme", b"http"), (b":authority", b"test"), (b":path", path)))


def get_frame(stream, path=b"/"):
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, get_block(path))


class Answer:
    def __init__(self):
        self.interim, self.fields, self.body = [], [], b""
        self.ended, self.reset = False, None

    @property
    def status(self):
        return int(dict(self.fields)[":status"])

    def __getitem__(self, name):
        return dict(self.fields).get(name.lower())


class Http2:
    """One connection, over TLS where a context is given; answers are asked for by the id of their stream."""

    def __init__(self, address, window=None, widens=True, tls=None, name="localhost"):
        self.socket = socket.create_connection(address, timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.scheme = "https" if tls else "http"
        if tls:
            tls.set_alpn_protocols(["h2"])
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
            assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(config=h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False, validate_inbound_headers=True))
        if window is not None:
            self.h2.local_settings = h2.settings.Settings(
                client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.initiate_connection()
        self.widens, self.answers, self.goaways, self.buffer = widens, {}, [], b""
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, path="/", *fields, method="GET", body=None, ends=True, pseudo=None):
        """Begins a request; a body is sent as far as the windows let it."""
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        head = pseudo if pseudo is not None else [
            (":method", method), (":scheme", self.scheme), (":authority", "test"), (":path", path)]
        self.h2.send_headers(stream, [*head, *fields], end_stream=body is None and ends)
        self.flush()
        if body is not None:
            self.send(stream, body, ends)
        return stream

    def send(self, stream, body, ends=True):
        while body and not self.answers[stream].ended and self.answers[stream].reset is None:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.receive()
                continue
            self.h2.send_data(stream, body[:room])
            body = body[room:]
            self.flush()
        if ends and not self.answers[stream].ended:
            self.h2.end_stream(stream)
            self.flush()

    def receive(self):
        """What comes next, at least one read of it."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise Closed("closed")
        self.buffer += data
        while len(self.buffer) >= 9 + (size := int.from_bytes(self.buffer[:3], "big")):
            one, self.buffer = self.buffer[:9 + size], self.buffer[9 + size:]
            if one[3] == GOAWAY:  # h2 would hear nothing more; but what was asked for is answered
                last, code = struct.unpack(">II", one[9:17])
                self.goaways.append((code, last))
                continue
            for event in self.h2.receive_data(one):
                self.take(event)
        self.flush()

    def take(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.InformationalResponseReceived):
            answer.interim.append(event.headers)
        elif isinstance(event, h2.events.ResponseReceived):
            answer.fields = event.headers
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.widens and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset) and answer is not None:
            answer.reset = event.error_code

    def answer(self, stream):
        """The whole answer, or what there was before a reset."""
        found = self.answers[stream]
        while not found.ended and found.reset is None:
            self.receive()
        return found

    def get(self, path="/", *fields, **options):
        return self.answer(self.ask(path, *fields, **options))

    def reset(self, stream):
        self.h2.reset_stream(stream, 8)
        self.flush()

    def until(self, found):
        while not found():
            self.receive()

    def until_closed(self):
        try:
            while True:
                self.receive()
        except (Closed, ConnectionResetError, BrokenPipeError):
            return self.goaways


def goaway_after(address, first, again, times_max=5000):
    """Sends frames by hand until the server has enough; the error code of its last GOAWAY."""
    with socket.create_connection(address, timeout=ANSWER_SECONDS) as raw:
        raw.sendall(PREFACE + frame(SETTINGS, 0, 0) + first)
        heard = b""
        raw.setblocking(False)
        for number in range(1, times_max):
            try:
                raw.sendall(again(number))
            except BlockingIOError:
                pass
            except OSError:
                break
            try:
                heard += raw.recv(1 << 16)
            except BlockingIOError:
                pass
            except OSError:
                break
        raw.settimeout(ANSWER_SECONDS)
        try:
            while data := raw.recv(1 << 16):
                heard += data
        except OSError:
            pass
    code = None
    while len(heard) >= 9:
        size = int.from_bytes(heard[:3], "big")
        if heard[3] == GOAWAY:
            code = int.from_bytes(heard[13:17], "big")
        heard = heard[9 + size:]
    return code
