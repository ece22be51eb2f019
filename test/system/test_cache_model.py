"""Is an answer that is kept always one that the app could have given to that request?

Clients ask at random, by every protocol, while the app's state changes and answers are purged; what each
answer was made from is in the answer (modelled.py), and is held against what was asked and what had
happened by then. CACHE_MODEL_SEED repeats a run, CACHE_MODEL_REQUESTS makes it longer."""
import collections
import dataclasses
import gzip
import os
import random
import runpy
import threading
import time

import certificates
from http2_client import Http2
from onebox import APPS
from test_proxy import route, upstream
from wire import Connection

SEED = int(os.environ.get("CACHE_MODEL_SEED", random.randrange(10**6)))
REQUESTS = int(os.environ.get("CACHE_MODEL_REQUESTS", 1600))
MODEL = runpy.run_path(str(APPS / "modelled.py"))
KINDS, body_of = list(MODEL["KINDS"]), MODEL["body_of"]
OFTEN = [*KINDS, "stands_in", "stands_in"]  # what is kept has to be met by a failure
CACHE = ('cache = { ttl = "headers", ignore_cookies = ["session"], key = ["query", "cookie:country"], '
         'ignore_query = ["utm_*"] }\n')
TOKEN = "Authorization: Bearer open sesame"
MADE = ("version", "country", "session", "other", "language", "user", "query")
NEVER_KEPT = ("private", "never")
ASKED_EACH_TIME = (*NEVER_KEPT, "asked", "renewed", "stands_in")
SHORT_SECONDS = 1


@dataclasses.dataclass
class Asked:
    """One request and its answer, or none yet."""
    path: str
    https: bool
    method: str = "GET"
    cookies: dict = dataclasses.field(default_factory=dict)
    language: str = ""
    user: str = ""
    query: str = ""
    control: str = ""
    fails: bool = False
    known: str = ""  # the validator that the client shows
    part: tuple = None
    coded: bool = False
    sent: float = 0.0
    received: float = 0.0
    status: int = 0
    fields: dict = None
    body: bytes = b""

    @property
    def kind(self):
        return self.path.split("/")[2]

    @property
    def target(self):
        return self.path + ("?" + self.query if self.query else "")

    @property
    def plain_query(self):
        """Without what the route ignores."""
        return "&".join(part for part in self.query.split("&") if not part.startswith("utm_"))

    def lines(self):
        """The request's fields."""
        yield from [("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))] * bool(
            self.cookies)
        for name, value in (("Accept-Language", self.language), ("Authorization", self.user),
                            ("Cache-Control", self.control), ("X-Fails", "1" * self.fails),
                            ("If-None-Match", self.known), ("Accept-Encoding", "gzip" * self.coded),
                            ("Range", "bytes={}-{}".format(*self.part) if self.part else "")):
            if value:
                yield name, value


class Client:
    """Asks by one protocol on one connection."""

    def __init__(self, box, protocol, trust):
        self.https = protocol.endswith("tls")
        address = box.address_of(box.urls[self.https])
        tls = trust() if self.https else None
        self.two = protocol.startswith("h2")
        self.connection = Http2(address, tls=tls) if self.two else Connection(address, tls=tls)

    def ask(self, method, target, fields, body=b""):
        """(status, {name: value}, body)"""
        if self.two:
            answer = self.connection.get(target, *[(name.lower(), value) for name, value in fields],
                                         method=method, body=body or None)
            return answer.status, dict(answer.fields), answer.body
        self.connection.request(method, target, *[f"{name}: {value}" for name, value in fields], body=body)
        answer = self.connection.response(method)
        return answer.status, {name.lower(): value for name, value in answer.fields}, answer.body


class History:
    """What has happened to the paths, as far as the clients know it: times are of the same clock."""

    def __init__(self):
        self.lock = threading.Lock()
        self.raised = collections.defaultdict(dict)  # path: {version: (not before, not after)}
        self.ended = []  # (path's beginning, not before, not after): what was kept is not given any more
        self.posted = []  # (path, https, version, when that was known)
        self.slowest = 0.0  # seconds that an answer took: so late may a turn of the server have been

    def earliest(self, one):
        """When what it was answered with was true at the latest that it may have ceased to be."""
        status = one.fields.get("cache-status", "")
        asks = (one.kind in ASKED_EACH_TIME or "no-cache" in one.control or "other" in one.cookies
                or bool(one.user) and one.kind != "public")
        if "collapsed" in status or "stale_if_error" in status:
            asks = False
        if "max-stale" in one.control and one.kind in ("renewed", "stands_in") and "hit" in status:
            asks = False
        bound = one.sent if asks else 0.0
        if one.kind == "short" and "max-stale" not in one.control:
            bound = max(bound, one.sent - SHORT_SECONDS - 1 - self.slowest)  # 1: ages are whole seconds
        for path, began, ended in self.ended:
            if one.path.startswith(path) and ended <= one.sent:
                bound = max(bound, began)
        return bound

    def mistake(self, one):
        """What is wrong with an answer; nothing where it may be given."""
        if one.status == 504:
            return None if "only-if-cached" in one.control else "a 504 that nobody asked for"
        if one.status == 500 and not one.fails:
            return "a failure of another request"
        if one.status not in (200, 206, 304, 500):
            return f"a {one.status}"
        if one.status == 304:
            tag = one.fields["etag"].removeprefix("W/").strip('"')  # RFC 9110 13.1.2: compared weakly
            if not one.known.endswith(f'"{tag}"'):
                return f"a 304 for {tag}, not for what the client has"
        else:
            tag = one.fields["x-made"]
        made = dict(zip(MADE, tag.split(";")))
        return self.foreign(one, made) or self.wrong_time(one, int(made["version"])) or self.wrong_bytes(one, tag)

    @staticmethod
    def foreign(one, made):
        """What of it belongs to another."""
        own = one.cookies.get("session", "")
        sessions = {own} if one.kind in NEVER_KEPT and one.status == 200 else {"", own}
        allowed = {
            "country": {one.cookies.get("country", "")}, "session": sessions,
            "other": {one.cookies.get("other", "")},
            "language": {one.language if one.kind == "language" else ""},
            "user": {"" if one.kind == "public" else one.user.replace(" ", "-")}, "query": {one.query, one.plain_query}}
        wrong = {name: made[name] for name, values in allowed.items() if made[name] not in values}
        return f"it was made from another's {wrong}" if wrong else None

    def wrong_time(self, one, version):
        raised = self.raised[one.path]
        if version and (version not in raised or raised[version][0] > one.received):
            return f"version {version} before there was one"
        ceased = raised[version + 1][1] if version + 1 in raised else float("inf")
        if ceased < self.earliest(one):
            return f"version {version}, which had been over for {one.sent - ceased:.3f} s"
        for path, https, posted, known in self.posted:
            same_url = (path, https) == (one.path, one.https) and not one.plain_query
            if same_url and known <= one.sent and version < posted:
                return f"version {version} after a POST had made it {posted}"
        return None

    @staticmethod
    def wrong_bytes(one, tag):
        if one.status in (304, 500) or one.method == "HEAD":
            return "a body where there is none" if one.body and one.status != 500 else None
        expected = body_of(one.path, tag)
        if one.status == 206:
            first, last = one.part
            expected = expected[first:last + 1]
        coded = one.fields.get("content-encoding") == "gzip"
        if coded and one.status == 206:
            return None  # a part of other bytes
        return None if (gzip.decompress(one.body) if coded else one.body) == expected else "other bytes"


class Player(threading.Thread):
    """One client: what it does is chosen by its seed."""

    def __init__(self, box, protocol, trust, history, seed, count):
        super().__init__()
        self.client, self.history, self.count = Client(box, protocol, trust), history, count
        self.choose = random.Random(seed)
        self.seen, self.validators, self.failed = [], {}, None

    def run(self):
        try:
            for _ in range(self.count):
                self.step()
        except Exception as error:  # told by the test
            self.failed = error

    def step(self):
        path = f"/{self.choose.choice(['own', 'proxied'])}/{self.choose.choice(OFTEN)}/{self.choose.choice('ab')}"
        turn = self.choose.random()
        if turn < 0.05:
            self.raise_version(path, "POST", path)
        elif turn < 0.13:
            self.raise_version(path, "GET", "/bump" + path)
        elif turn < 0.2:
            self.purge(path)
        else:
            self.look(path)

    def raise_version(self, path, method, target):
        began = time.monotonic()
        status, _, body = self.client.ask(method, target, [], b"x" if method == "POST" else b"")
        assert status == 200, (status, body)
        with self.history.lock:
            now = time.monotonic()
            self.history.raised[path][int(body)] = began, now
            if method == "POST":
                self.history.posted.append((path, self.client.https, int(body), now))

    def purge(self, path):
        kind = self.choose.choice(["url", "prefix"] if path.startswith("/proxied") else ["url", "prefix", "tag"])
        began = time.monotonic()
        token = tuple(TOKEN.split(": "))
        fields = {"url": [], "prefix": [("Purge-Prefix", path)], "tag": [("Purge-Tag", path.replace("/", "-"))]}
        status, _, _ = self.client.ask("PURGE", path, [token, *fields[kind]])
        assert status == 200
        if kind != "url":  # which leaves what has a query
            self.history.ended.append((path, began, time.monotonic()))

    def look(self, path):
        choose = self.choose
        cookies = {}
        for name, chance, values in (("session", 0.5, "12"), ("country", 0.4, ("de", "fr")), ("other", 0.06, "12")):
            if choose.random() < chance:
                cookies[name] = choose.choice(values)
        one = Asked(path, self.client.https, choose.choice(["GET", "GET", "GET", "GET", "HEAD"]), cookies,
                    language=choose.choice(["", "de", "fr"]), query=choose.choice(["", "", "q=1", "utm_a=2&q=1"]),
                    control=choose.choice([""] * 9 + ["no-cache", "max-stale=60", "only-if-cached"]),
                    fails=choose.random() < (0.4 if "stands_in" in path else 0.06), coded=choose.random() < 0.2)
        if choose.random() < 0.08:
            one.user = f"Basic {choose.choice('xy')}"
        condition = choose.random()
        if condition < 0.3:
            one.known = self.validators.get(path, "")
        elif condition < 0.4 and not one.coded:
            one.part = choose.choice([(0, 8), (5, 5), (3, 99)])
        one.sent = time.monotonic()
        one.status, one.fields, one.body = self.client.ask(one.method, one.target, list(one.lines()))
        one.received = time.monotonic()
        if one.fields.get("etag"):
            self.validators[path] = one.fields["etag"]
        self.seen.append(one)


def test_every_answer_is_one_that_the_app_could_have_given(serve, tmp_path):
    behind = serve("modelled:app")
    own = certificates.issue(tmp_path)
    toml = ('[front]\nreactors = 2\npurge_token = "open sesame"\n[[route]]\npath = "/own/*"\n' + CACHE
            + route("/proxied/*", "one") + CACHE + route("/bump/proxied/*", "one") + upstream("one", behind.url))
    box = serve("modelled:app", toml=toml, listen=("127.0.0.1:0", "https://127.0.0.1:0"),
                arguments=own.arguments, tls=own.trusting())
    history = History()
    players = [Player(box, protocol, own.trusting, history, f"{SEED} {number}", REQUESTS // 4)
               for number, protocol in enumerate(("h1", "h1 tls", "h2", "h2 tls"))]
    for player in players:
        player.start()
    for player in players:
        player.join()
    assert not [player.failed for player in players if player.failed], f"seed {SEED}"
    seen = [one for player in players for one in player.seen]
    history.slowest = max(one.received - one.sent for one in seen)
    for one in seen:
        mistake = history.mistake(one)
        assert not mistake, f"seed {SEED}: {mistake}: {one}"
    said = " ".join(one.fields.get("cache-status", "") for one in seen)
    for happened in ("hit", "fwd=miss", "fwd-status=304", "stale_if_error", "detail=cookie", "ttl=-"):
        assert happened in said, f"seed {SEED}: no {happened}"
    assert {200, 206, 304, 500, 504} == {one.status for one in seen}
