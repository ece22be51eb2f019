"""Are answers kept and given again where RFC 9111 and the operator allow it, and nowhere else?"""
import email.utils
import gzip
import re
import resource
import threading
import time

import pytest

from clients import reload
from http2_client import Http2
from onebox import onebox, shared
from wire import Connection, until

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
TOML = """
[front]
reactors = 2
purge_token = "open sesame"
[[route]]
path = "/headers/*"
cache = "headers"
[[route]]
path = "/ttl/*"
cache = { ttl = "60s", stale_if_error = "1h" }
[[route]]
path = "/cookies/*"
cache = { ttl = "60s", ignore_cookies = ["session", "_ga*"], key = ["query", "cookie:country"] }
[[route]]
path = "/query/*"
cache = { ttl = "60s", ignore_query = ["utm_*"] }
[[route]]
path = "/tagged/*"
cache = { ttl = "60s", tags = ["tagged"] }
[[route]]
path = "/strict/*"
cache = { ttl = "60s", negative_ttl = "0s" }
"""
server = shared("kept:app", toml=TOML)
counter = iter(range(10**6))


def path_below(route):
    return f"/{route}/{next(counter)}"


def say(*fields):
    return "X-Say: " + " | ".join(fields)


def wall_of(answer):
    """The server's wall clock when it answered, in seconds."""
    return email.utils.parsedate_to_datetime(answer["Date"]).timestamp()


def run_of(answer):
    return int(re.match(rb"run (\d+)", answer.body)[1])


HIT, ASKED = True, False
CASES = [
    # why, route, the answer's fields, those of the first request, of the second, what the second gets
    ("what says nothing is not kept", "headers", [], [], [], ASKED),
    ("max-age", "headers", ["Cache-Control: max-age=60"], [], [], HIT),
    ("s-maxage before max-age", "headers", ["Cache-Control: max-age=0, s-maxage=60"], [], [], HIT),
    ("Expires", "headers", ["Expires: Fri, 31 Dec 9999 23:59:59 GMT"], [], [], HIT),
    ("Expires that is no date", "ttl", ["Expires: 0"], [], [], ASKED),
    ("age counts", "headers", ["Cache-Control: max-age=60", "Age: 60"], [], [], ASKED),
    ("the route's ttl", "ttl", [], [], [], HIT),
    ("the app before the route", "ttl", ["Cache-Control: max-age=0"], [], [], ASKED),
    ("no-store", "ttl", ["Cache-Control: no-store"], [], [], ASKED),
    ("private", "ttl", ["Cache-Control: private, max-age=60"], [], [], ASKED),
    ("a cookie is set", "ttl", ["Set-Cookie: a=1"], [], [], ASKED),
    ("even where it is public", "ttl", ["Cache-Control: public, max-age=9", "Set-Cookie: a=1"], [], [], ASKED),
    ("a stream of events", "ttl", ["X-Accel-Buffering: no"], [], [], ASKED),
    ("Vary: *", "ttl", ["Vary: *"], [], [], ASKED),
    ("Vary: Cookie", "ttl", ["Vary: Cookie"], [], [], ASKED),
    ("Vary: Cookie of a route that names them", "cookies", ["Vary: Cookie"], [], [], HIT),
    ("Vary, the same", "ttl", ["Vary: Accept-Language"], ["Accept-Language: de"], ["Accept-Language: de"], HIT),
    ("Vary, another", "ttl", ["Vary: Accept-Language"], ["Accept-Language: de"], ["Accept-Language: fr"], ASKED),
    ("Vary, none", "ttl", ["Vary: Accept-Language"], ["Accept-Language: de"], [], ASKED),
    ("a cookie of the client", "ttl", [], ["Cookie: a=1"], ["Cookie: a=1"], ASKED),
    ("a client with a cookie after one without", "ttl", [], [], ["Cookie: a=1"], ASKED),
    ("a cookie that does not matter", "cookies", [], ["Cookie: session=1"], ["Cookie: session=2; _ga_x=3"], HIT),
    ("beside one that does", "cookies", [], ["Cookie: session=1"], ["Cookie: id=2"], ASKED),
    ("a cookie of the key, the same", "cookies", [], ["Cookie: country=de"], ["Cookie: session=1; country=de"], HIT),
    ("a cookie of the key, another", "cookies", [], ["Cookie: country=de"], ["Cookie: country=fr"], ASKED),
    ("Authorization", "ttl", [], ["Authorization: Basic eDp5"], ["Authorization: Basic eDp5"], ASKED),
    ("Authorization after none", "ttl", [], [], ["Authorization: Basic eDp5"], ASKED),
    ("Authorization, and public", "headers", ["Cache-Control: public, max-age=60"],
     ["Authorization: Basic eDp5"], ["Authorization: Basic eDp6"], HIT),
    ("no-cache of the client", "ttl", [], [], ["Cache-Control: no-cache"], ASKED),
    ("max-age of the client", "ttl", ["Age: 30"], [], ["Cache-Control: max-age=10"], ASKED),
    ("max-age that holds", "ttl", ["Age: 30"], [], ["Cache-Control: max-age=50"], HIT),
    ("min-fresh", "ttl", ["Age: 30"], [], ["Cache-Control: min-fresh=50"], ASKED),
    ("no-store of the client", "ttl", [], ["Cache-Control: no-store"], [], ASKED),
    ("max-stale", "headers", ["Cache-Control: max-age=60", "Age: 70", "ETag: \"a\""], [],
     ["Cache-Control: max-stale=60"], HIT),
    ("max-stale against must-revalidate", "headers",
     ["Cache-Control: max-age=60, must-revalidate", "Age: 70", "ETag: \"a\""], [],
     ["Cache-Control: max-stale=60"], ASKED),
    ("another spelling of the path is not kept", "ttl%2f", [], [], [], ASKED),
]


@pytest.mark.parametrize("why, route, fields, first, second, hit", CASES, ids=[row[0] for row in CASES])
def test_an_answer_is_given_again_where_that_is_right(server, why, route, fields, first, second, hit):
    path = path_below(route)
    made = server.get(path, say(*fields), *first)
    again = server.get(path, say(*fields), *second)
    assert made.status == again.status == 200
    if hit:
        assert again.body == made.body
        assert again["Cache-Status"].startswith("Onebox; hit; ttl=")
        assert int(again["Age"]) >= 0
    else:
        assert run_of(again) > run_of(made) or "fwd-status=304" in again["Cache-Status"]


@pytest.mark.parametrize("route, status, kept", [
    ("ttl", "301 Moved", True), ("ttl", "404 Not Found", True), ("strict", "404 Not Found", False),
    ("ttl", "302 Found", False), ("ttl", "500 Failed", False), ("ttl", "403 Forbidden", False),
    ("ttl", "204 No Content", True)])
def test_a_status_is_kept_by_its_kind(server, route, status, kept):
    path = path_below(route)
    made = server.get(path, f"X-Status: {status}")
    again = server.get(path, f"X-Status: {status}")
    assert again.status == made.status == int(status[:3])
    assert ("hit" in again["Cache-Status"]) == kept


def test_what_does_not_matter_in_the_query_is_neither_in_the_key_nor_seen_by_the_app(server):
    path = path_below("query")
    made = server.get(f"{path}?a=1&utm_source=x")
    assert b"query a=1 " in made.body
    assert server.get(f"{path}?utm_campaign=y&a=1").body == made.body
    assert run_of(server.get(f"{path}?a=2")) != run_of(made)


# Each sees his own page where the app makes it his own, and the page of all where it does not.
def test_no_client_sees_what_was_made_for_another(server):
    shared_page, own_page = path_below("cookies"), path_below("cookies")
    for user in ("ann", "bob"):
        cookie = f"Cookie: session={user}"
        assert user.encode() not in server.get(shared_page, cookie, say("Vary: Cookie")).body
        for _ in range(3):
            answer = server.get(own_page, cookie, say("Set-Cookie: last=1", "Vary: Cookie"))
            assert f"session={user}".encode() in answer.body
            answer = server.get(own_page, cookie, say("Cache-Control: private"))
            assert f"session={user}".encode() in answer.body


@pytest.mark.once  # what is put before the C library must not come before a sanitizer
def test_the_wall_clock_may_step(serve, tmp_path):
    """By an hour, and back by a day: what is kept ages by the clock that does not."""
    step = tmp_path / "step"

    def steps(by):
        step.with_suffix(".new").write_text(f"{by}\n")
        step.with_suffix(".new").rename(step)
    steps("+0")
    running = serve("kept:app", toml=TOML, environment={
        "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(step), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"})
    kept, fresh = path_below("ttl"), say("Cache-Control: max-age=60")
    made = running.get(kept)
    began = wall_of(made)
    for by, seconds in (("+3600", 3600), ("-86400", -86400), ("+0", 0)):
        steps(by)
        again = running.get(kept)
        assert abs(wall_of(running.get("/headers/none")) - began - seconds) < 60, "it has stepped"
        assert again.body == made.body and "hit" in again["Cache-Status"]
        assert 0 <= int(again["Age"]) < 60
        new = path_below("headers")
        assert "hit" in [running.get(new, fresh), running.get(new, fresh)][1]["Cache-Status"], "and new ones are kept"


def test_a_purge_at_a_reload_holds_for_whoever_answers(serve):
    """Connections of before are still with the front of before, which has another beside it."""
    running = serve("kept:app", toml=TOML)
    purging, posting = Connection(running.address), Connection(running.address)
    path = path_below("ttl")
    for before in (purging, posting):
        before.request("GET", path)
        assert before.response().status == 200
    (running.folder / "onebox.toml").write_text(TOML.replace("[front]", '[front]\nserver_name = "after"'))
    assert reload(running).returncode == 0
    assert running.get(path)["Server"] == "after"
    assert "hit" in running.get(path)["Cache-Status"]
    posting.request("POST", path, body=b"x")
    assert (posting.response().status, "fwd=miss" in running.get(path)["Cache-Status"]) == (200, True)
    assert "hit" in running.get(path)["Cache-Status"]
    token = "Authorization: Bearer open sesame"
    purging.request("PURGE", path, token)
    refused = purging.response()
    assert (refused.status, refused["Connection"]) == (503, "close"), "who asks again finds the other"
    assert running.ask("PURGE", path, token).status == 200
    assert "fwd=miss" in running.get(path)["Cache-Status"]


def test_what_it_says_about_an_answer_is_what_it_did(server):
    path = path_below("ttl")
    assert server.get(path)["Cache-Status"] == "Onebox; fwd=miss; fwd-status=200; stored"
    assert re.match(r"Onebox; hit; ttl=(59|60)$", server.get(path)["Cache-Status"])
    assert server.get(path, "Cookie: a=1")["Cache-Status"] == "Onebox; fwd=bypass; detail=cookie"
    other = path_below("ttl")
    assert (server.get(other, say("Set-Cookie: a=1"))["Cache-Status"]
            == "Onebox; fwd=miss; fwd-status=200; detail=set_cookie")
    assert server.get(path_below("nowhere"))["Cache-Status"] is None
    metrics = server.metrics()
    assert metrics['onebox_response_cache_total{result="hit"}'] >= 1
    assert metrics['onebox_response_cache_not_stored_total{reason="set_cookie"}'] >= 1
    assert metrics['onebox_response_cache_total{result="cookie"}'] >= 1


def test_nothing_but_what_is_kept_is_given_where_that_is_asked_for(server):
    path = path_below("ttl")
    assert server.get(path, "Cache-Control: only-if-cached").status == 504
    made = server.get(path)
    assert server.get(path, "Cache-Control: only-if-cached").body == made.body


def test_conditions_ranges_and_head_are_answered_from_what_is_kept(server):
    path = path_below("ttl")
    fields = say('ETag: "a"', "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")
    made = server.get(path, fields)
    assert run_of(made) and made["ETag"] == '"a"'
    same = server.get(path, fields, 'If-None-Match: "a"')
    assert same.status == 304 and same.body == b"" and same["ETag"] == '"a"'
    assert server.get(path, fields, 'If-None-Match: "b"').body == made.body
    since = server.get(path, fields, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT")
    assert since.status == 304
    assert server.get(path, fields, 'If-Match: "b"').status == 412
    part = server.get(path, fields, "Range: bytes=0-2")
    assert part.status == 206 and part.body == made.body[:3]
    assert part["Content-Range"] == f"bytes 0-2/{len(made.body)}"
    parts = server.get(path, fields, "Range: bytes=0-0, 2-3")
    assert parts.status == 206 and parts["Content-Type"].startswith("multipart/byteranges")
    assert server.get(path, fields, "Range: bytes=9999-").status == 416
    head = server.ask("HEAD", path, fields)
    assert head.status == 200 and head["Content-Length"] == str(len(made.body))
    assert "hit" in head["Cache-Status"]


def test_head_has_no_body_where_the_new_answer_is_not_kept(server):
    path = path_below("headers")
    server.get(path, say("Cache-Control: max-age=60", "Age: 60", 'ETag: "a"'))
    with server.connect() as connection:
        head = connection.request("HEAD", path, say("Cache-Control: no-store")).response("HEAD")
        assert head.status == 200 and "detail=no_store" in head["Cache-Status"]
        assert connection.get(path, say("Cache-Control: no-store")).body.startswith(b"run ")


def test_what_is_kept_is_compressed_once_for_each_coding(server):
    path = path_below("ttl")
    ask = ("X-Body: words-and-", "X-Times: 500", say('ETag: "a"'))
    text = b"words-and-" * 500
    before = server.metric("onebox_responses_compressed_total")
    for _ in range(3):
        coded = server.get(path, *ask, "Accept-Encoding: gzip")
        assert coded["Content-Encoding"] == "gzip" and gzip.decompress(coded.body) == text
        assert coded["ETag"] == 'W/"a"' and "accept-encoding" in coded["Vary"].lower()
        plain = server.get(path, *ask)
        assert plain["Content-Encoding"] is None and plain.body == text and plain["ETag"] == '"a"'
    assert server.metric("onebox_responses_compressed_total") == before + 1


def test_what_is_not_fresh_is_asked_about_and_renewed(server):
    path = path_below("headers")
    stale = say('ETag: "a"', "Cache-Control: max-age=60", "Age: 60", "X-Which: first")
    made = server.get(path, stale)
    renewed = server.get(path, say('ETag: "a"', "Cache-Control: max-age=60", "X-Which: second"))
    assert renewed.body == made.body and renewed.status == 200
    assert renewed["Cache-Status"] == "Onebox; fwd=stale; fwd-status=304; stored"
    again = server.get(path)
    assert again.body == made.body and again["X-Which"] == "second" and "hit" in again["Cache-Status"]
    assert again.all("Cache-Control") == ["max-age=60"]


def test_a_stale_answer_is_given_while_another_is_fetched(server):
    path = path_below("headers")
    made = server.get(path, say("Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 60"))
    fresh = say("Cache-Control: max-age=60")
    stale = server.get(path, fresh)
    assert stale.body == made.body and re.match(r"Onebox; hit; ttl=-\d+$", stale["Cache-Status"])
    new = until(lambda: (lambda answer: answer.body != made.body and answer)(server.get(path, fresh)),
                "the new one is there")
    assert run_of(new) == run_of(made) + 1


def test_an_unsafe_request_ends_what_is_kept_of_its_url(server):
    path = path_below("ttl")
    made = server.get(path)
    assert server.get(path).body == made.body
    assert server.ask("POST", path, "X-Status: 403 Forbidden", body=b"x").status == 403
    assert server.get(path).body == made.body
    assert server.ask("POST", path, body=b"x").status == 200
    assert run_of(server.get(path)) > run_of(made)


def test_an_answer_without_a_length_is_kept_too(server):
    path = path_below("ttl")
    made = server.get(path, "X-Parts: yes")
    assert made.body.endswith(b" and more")
    again = server.get(path, "X-Parts: yes")
    assert again.body == made.body and again["Content-Length"] == str(len(made.body))


def test_an_answer_that_is_too_large_goes_through(server):
    path = path_below("ttl")
    for _ in range(2):
        answer = server.get(path, "X-Body: 0123456789", "X-Times: 200000")
        assert answer.status == 200 and answer.body == b"0123456789" * 200_000
    assert server.metrics()['onebox_response_cache_not_stored_total{reason="too_large"}'] >= 1


def clients(server, count, path, *fields):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asking = [Connection(server.address, seconds=60) for _ in range(count)]
    for connection in asking:
        connection.request("GET", path, *fields)
    return asking


def test_a_thousand_clients_wait_for_one_run(serve, hold):
    running = serve("kept:app", toml=TOML, workers=1, threads=4)
    path, gate = path_below("headers"), hold / "gate"
    made = running.get(path, say('Cache-Control: max-age=60', "Age: 60", "ETag: \"a\""))
    asking = clients(running, 1000, path, f"X-Hold: {gate}", say("Cache-Control: max-age=60"))
    until(lambda: list(hold.glob("gate.begun*")), "one of them runs")
    gate.touch()
    bodies = {connection.response().body for connection in asking}
    for connection in asking:
        connection.close()
    assert len(bodies) == 1 and len(list(hold.glob("gate.begun*"))) == 1
    assert run_of(running.get(path)) == run_of(made) + 1


@pytest.mark.parametrize("field", ["Cache-Control: private", "Set-Cookie: a=1"])
def test_those_who_wait_for_what_is_not_shared_ask_for_themselves(serve, hold, field):
    running = serve("kept:app", toml=TOML, workers=1, threads=4)
    path, gate = path_below("ttl"), hold / "gate"
    asking = clients(running, 20, path, f"X-Hold: {gate}", say(field))
    until(lambda: list(hold.glob("gate.begun*")), "one of them runs")
    gate.touch()
    assert len({connection.response().body for connection in asking}) == 20
    for connection in asking:
        connection.close()


def test_the_client_that_asked_may_leave(serve, hold):
    running = serve("kept:app", toml=TOML, workers=1, threads=4)
    path, gate = path_below("ttl"), hold / "gate"
    first = running.connect().request("GET", path, f"X-Hold: {gate}")
    until(lambda: list(hold.glob("gate.begun*")), "it runs")
    other = running.connect().request("GET", path, f"X-Hold: {gate}")
    first.close()
    gate.touch()
    assert run_of(other.response()) == 1
    other.close()
    assert run_of(running.get(path)) == 1


def test_what_is_kept_stands_in_for_an_app_that_fails(serve, hold):
    running = serve("kept:app", toml=TOML, environment={"HOLD": str(hold)})
    path = path_below("ttl")
    made = running.get(path, say("Cache-Control: max-age=60", "Age: 60"))
    (hold / "fails").touch()
    answer = running.get(path)
    assert answer.status == 200 and answer.body == made.body
    assert answer["Cache-Status"] == "Onebox; fwd=stale; fwd-status=500; detail=stale_if_error"
    assert running.get(path_below("ttl")).status == 500
    (hold / "fails").unlink()
    assert run_of(running.get(path)) > run_of(made)


@pytest.mark.parametrize("what", ["url", "whole url", "prefix", "tag"])
def test_http_purges_with_the_token(server, what):
    path = path_below("tagged")
    made, other = server.get(path), server.get(path_below("ttl"))
    assert server.get(path).body == made.body
    target, fields = {"url": (path, []), "whole url": (f"http://test{path}", []),
                      "prefix": ("/", [f"Purge-Prefix: {path}"]), "tag": ("/", ["Purge-Tag: tagged"])}[what]
    assert server.ask("PURGE", target, *fields).status == 403
    assert server.ask("PURGE", target, *fields, "Authorization: Bearer open sesam").status == 403
    assert server.get(path).body == made.body
    purged = server.ask("PURGE", target, *fields, "Authorization: Bearer open sesame")
    assert purged.status == 200 and int(re.search(rb"\d+", purged.body)[0]) >= 1
    assert run_of(server.get(path)) > max(run_of(made), run_of(other))


@pytest.mark.parametrize("arguments", [["{path}"], ["--prefix", "{path}"], ["--tag", "tagged"]],
                         ids=["url", "prefix", "tag"])
def test_the_command_line_purges(server, arguments):
    path = path_below("tagged")
    made = server.get(path)
    said = server.tell("purge", *[word.format(path=path) for word in arguments]).stdout
    assert re.fullmatch(r"purged [1-9]\d*\n", said)
    assert run_of(server.get(path)) > run_of(made)


def test_status_says_what_was_kept_and_why_not(server):
    server.get(path_below("ttl"), say("Set-Cookie: a=1"))
    status = server.status()["response_cache"]
    assert status["results"]["miss"] >= 1 and status["not_stored"]["set_cookie"] >= 1
    assert re.search(r"^  not kept  .*set_cookie \d", server.tell("status").stdout, re.MULTILINE)


# Each reader writes down what was true before it asked; what it gets must not be older.
@pytest.mark.parametrize("kind", ["tag", "url"])
def test_nothing_of_before_a_purge_is_given_after_it(serve, kind):
    running = serve("kept_views:flask_app()", toml="[front]\nreactors = 2\n", threads=8)
    named = {"tag": "tag=prices:de", "url": "url=/prices/de"}[kind]
    until(lambda: "hit" in (running.get("/prices/de")["Cache-Status"] or ""), "it is kept")
    stop, wrong, least = threading.Event(), [], [0]

    def read():
        with running.connect() as connection:
            while not stop.is_set():
                before = least[0]
                found = int(connection.get("/prices/de").body.split()[1])
                if found < before:
                    wrong.append((found, before))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    with running.connect() as connection:
        for _ in range(100):
            latest = int(running.get("/prices/de").body.split()[1])
            connection.get(f"/purge?{named}")
            least[0] = latest + 1  # no run of before the purge
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_what_was_purged_stands_in_for_nobody_who_asks_later(serve, hold):
    running = serve("kept:app", toml=TOML, environment={"HOLD": str(hold)})
    path, gate = path_below("ttl"), hold / "gate"
    made = running.get(path, say("Cache-Control: max-age=60", "Age: 60"))
    with running.connect() as before, running.connect() as after:
        before.request("GET", path, f"X-Hold: {gate}")
        until(lambda: list(hold.glob("gate.begun*")), "it runs")
        assert running.ask("PURGE", path, "Authorization: Bearer open sesame").status == 200
        after.request("GET", path)  # waits for the same run
        assert running.get(path, "Cache-Control: only-if-cached").status == 504  # and was read before this
        (hold / "fails").touch()
        gate.touch()
        assert before.response().body == made.body
        assert after.response().status == 500


@pytest.mark.parametrize("age, hit", [(0, True), (60, False)])
def test_a_renewed_answer_is_as_old_as_the_cache_behind_says(server, age, hit):
    path, tag = path_below("headers"), 'ETag: "a"'
    server.get(path, say("Cache-Control: max-age=60", "Age: 60", tag))
    renewed = server.get(path, say("Cache-Control: max-age=60", f"Age: {age}", tag))
    assert "fwd-status=304" in renewed["Cache-Status"] and renewed["Age"] == str(age)
    assert ("hit" in server.get(path, say(tag))["Cache-Status"]) == hit


OVER = """
[front]
reactors = 2
protected = {{ "/protected/" = "{0}" }}
[[route]]
path = "/files/*"
cache = {{ ttl = "60s" }}
[[route]]
path = "/hinted/*"
cache = {{ ttl = "60s" }}
early_hints = ["</app.css>; rel=preload"]
[[route]]
path = "/paced/*"
cache = {{ ttl = "60s" }}
bytes_per_second = "40000 B"
bytes_per_second_after = "20000 B"
limits = [{{ name = "paced", at_once = 1 }}]
"""


# What a route does to an answer it does to one that is kept.
def test_what_is_kept_obeys_its_route(serve, tmp_path):
    (tmp_path / "page.txt").write_text("of the disk")
    running = serve("kept:app", toml=OVER.format(tmp_path))
    named = "X-Accel-Redirect: /protected/page.txt"
    for fields, hit in (([named, "Cache-Control: max-age=60"], True), ([named], False)):
        path = path_below("files")
        for _ in range(2):
            answer = running.get(path, say(*fields))
            assert answer.body == b"of the disk" and answer["X-Accel-Redirect"] is None
        assert ("hit" in answer["Cache-Status"]) == hit

    with Http2(running.address) as client:
        path = path_below("hinted")
        made, again = client.get(path), client.get(path)
        assert [dict(head).get("link") for head in made.interim] == ["</app.css>; rel=preload"]
        assert again.body == made.body and "hit" in again["cache-status"] and not again.interim

    path, large = path_below("paced"), ("X-Body: x", "X-Times: 60000")
    with running.connect() as slow:
        assert len(slow.get(path, *large).body) == 60_000
        begun = time.monotonic()
        slow.request("GET", path, *large)
        slow.until(b"\r\n\r\n")
        assert running.get(path, *large).status == 429  # one at once, until it has left
        slow.exactly(60_000)
        assert time.monotonic() - begun >= (60_000 - 20_000 - 5_000) / 40_000 - 0.1
    until(lambda: running.get(path, *large).status == 200, "the place is free again")


@pytest.mark.parametrize("target", ["kept_views:flask_app()", "kept_views:django_app()"])
def test_a_view_says_itself_that_its_answers_may_be_kept(serve, target):
    running = serve(target)
    first = running.get("/prices/de")
    assert first["Cache-Control"] == "max-age=0, s-maxage=60"
    assert first["Onebox-Cache"] is None and first["Onebox-Cache-Tags"] is None
    made = running.get("/prices/de")  # the first has told that it may be kept
    again = running.get("/prices/de")
    assert again.body == made.body and "hit" in again["Cache-Status"]
    assert again["Onebox-Cache-Tags"] is None
    assert running.get("/prices/de", "Cookie: a=1").body != made.body
    assert running.get("/purge?tag=prices:fr").body == b"0"
    assert running.get("/prices/de").body == made.body
    assert running.get("/purge?tag=prices:de").body == b"1"
    assert running.get("/prices/de").body != made.body


def test_a_view_that_fails_or_is_private_is_not_kept(serve):
    running = serve("kept_views:flask_app()")
    for path in ("/failing", "/private"):
        assert len({running.get(path).body for _ in range(4)}) == 4
    assert running.get("/prices/de", "Accept-Language: de")["Vary"] == "Accept-Language"


def test_a_wsgi_app_says_so_as_a_whole(serve):
    running = serve("kept_views:wsgi_app")
    running.get("/a")
    assert running.get("/a").body == running.get("/a").body


@pytest.mark.parametrize("cache, mistake", [
    ('{ ttl = "60s", key = ["colour"] }', r'cache\.key: expected .*got "colour"'),
    ('{ ttl = "60s", ignore_cookies = ["*"] }', r"cache\.ignore_cookies: expected names"),
    ('{ ttl = "soon" }', r'ttl: expected .*got "soon"'),
    ('{ stale = "60s" }', r"ttl"),
])
def test_a_mistake_in_a_cache_is_named(tmp_path, cache, mistake):
    config = tmp_path / "onebox.toml"
    config.write_text(f'[app]\ntarget = "kept:app"\n[[route]]\npath = "/x"\ncache = {cache}\n')
    checked = onebox("run", "--config", config, "--check-config")
    assert checked.returncode != 0 and re.search(mistake, checked.stdout + checked.stderr)


def test_the_check_asks_about_caches_that_may_not_be_meant_so(tmp_path):
    config = tmp_path / "onebox.toml"
    config.write_text('[app]\ntarget = "kept:app"\n[front]\nresponse_cache = 0\n[[route]]\npath = "/x"\n'
                      'methods = ["POST"]\ncache = { ttl = "60s", ignore_cookies = ["session"] }\n')
    checked = onebox("run", "--config", config, "--check-config")
    assert checked.returncode == 0
    for warning in ("nothing is kept", "only answers to GET", "made without session; is the page the same"):
        assert warning in checked.stdout + checked.stderr
