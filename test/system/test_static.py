"""Are files served as RFC 9110 has it, and no other file than those of the folder?"""
import email.parser
import gzip
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from onebox import Onebox, onebox
from wire import until

SMALL = b"body { color: red }\n" * 10
LARGE = bytes(range(256)) * 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "static"
    (folder / "sub").mkdir(parents=True)
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (folder.parent / "static-neighbour").mkdir()
    (folder.parent / "static-neighbour/secret.txt").write_text("secret")
    for name, content in {
            "style.css": SMALL, "app.js": b"let a = 1\n", "app.3f2a9c1b.js": b"let a = 2\n",
            "page.html": b"<p>", "picture.png": b"\x89PNG", "large.bin": LARGE, "empty.txt": b"",
            "sub/inner.txt": b"inner", "no_extension": b"what", "a b.txt": b"space",
            "caf\u00e9.txt": b"utf-8", ".hidden": b"dot", "data.json": b"{}", "font.woff2": b"wOF2",
            "picture.svg": b"<svg/>", "module.mjs": b"", "app.wasm": b"\0asm",
            "compressed.css": SMALL}.items():
        (folder / name).write_bytes(content)
    (folder / "compressed.css.gz").write_bytes(gzip.compress(SMALL))
    (folder / "compressed.css.br").write_bytes(b"pretend brotli")
    (folder / "inside.css").symlink_to("style.css")
    (folder / "outside.txt").symlink_to(outside / "secret.txt")
    (folder / "outside").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    # A time of modification says which content it is when it has passed: RFC 9110, 8.8.2.2.
    an_hour_ago = time.time() - 3600
    os.utime(folder / "style.css", (an_hour_ago, an_hour_ago))
    return folder


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    toml = f"""
[static]
"/static/" = "{folder}"
"/kept/" = {{ dir = "{folder}", max_age = "30d" }}
"/linked/" = {{ dir = "{folder}", follow_links = true }}
[compression]
enabled = false
"""
    with Onebox(tmp_path_factory.mktemp("onebox"), "answers:app", toml=toml) as running:
        yield running


@pytest.mark.parametrize("name, kind", [
    ("style.css", "text/css"), ("app.js", "text/javascript"), ("page.html", "text/html"),
    ("picture.png", "image/png"), ("sub/inner.txt", "text/plain"), ("data.json", "application/json"),
    ("font.woff2", "font/woff2"), ("picture.svg", "image/svg+xml"), ("module.mjs", "text/javascript"),
    ("app.wasm", "application/wasm"), ("no_extension", "application/octet-stream"),
    ("large.bin", "application/octet-stream"), ("empty.txt", "text/plain")])
def test_a_file_is_served_whole_and_with_its_type(server, folder, name, kind):
    answer = server.get(f"/static/{name}")
    assert (answer.status, answer.body) == (200, (folder / name).read_bytes())
    assert answer["Content-Type"].split(";")[0] == kind
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["ETag"] and answer["Last-Modified"] and answer["Content-Length"]


def test_names_are_decoded(server):
    assert server.get("/static/a%20b.txt").body == b"space"
    assert server.get("/static/caf%C3%A9.txt").body == b"utf-8"
    assert server.get("/static/style%2ecss").body == SMALL


def test_head_is_get_without_the_body(server):
    get, head = server.get("/static/large.bin"), server.ask("HEAD", "/static/large.bin")
    volatile = ("Date", "X-Request-ID")
    assert [field for field in head.fields if field[0] not in volatile] \
        == [field for field in get.fields if field[0] not in volatile]


def test_other_methods_are_405(server):
    for method in ("POST", "PUT", "DELETE"):
        answer = server.ask(method, "/static/style.css", body=b"x")
        assert answer.status == 405 and {"GET", "HEAD"} <= set(re.split(r",\s*", answer["Allow"]))


@pytest.mark.parametrize("path", ["none.css", "sub", "sub/", "", "style.css/", "style.css/more",
                                  "pipe"])
def test_what_is_not_a_file_is_404(server, path):
    assert server.get(f"/static/{path}").status == 404


@pytest.mark.parametrize("path", [
    "/static/../outside/secret.txt", "/static/%2e%2e/outside/secret.txt",
    "/static/..%2foutside/secret.txt", "/static/sub/../../outside/secret.txt",
    "/static/.%2e/outside/secret.txt", "/static//etc/passwd", "/static/%2fetc%2fpasswd",
    "/static/..%5coutside%5csecret.txt", "/static/style.css%00.txt", "/static/%00",
    "/static/outside.txt", "/static/outside/secret.txt", "/static-neighbour/secret.txt",
    "/static/%252e%252e/outside/secret.txt", "/static/..;/outside/secret.txt"])
def test_no_path_leaves_the_folder(server, path):
    answer = server.get(path)
    assert answer.status in (400, 403, 404, 500)
    assert b"secret" not in answer.body and b"root:" not in answer.body


def test_links_inside_the_folder_are_followed(server):
    assert server.get("/static/inside.css").body == SMALL


def test_links_that_point_outside_are_followed_where_that_is_allowed(server):
    assert server.get("/linked/outside.txt").body == b"secret"
    assert server.get("/linked/outside/secret.txt").body == b"secret"
    assert server.get("/linked/../outside/secret.txt").status in (400, 403, 404, 500)


# --- freshness ---------------------------------------------------------------

def test_cache_control_follows_the_name(server):
    assert server.get("/static/app.3f2a9c1b.js")["Cache-Control"] \
        == "public, max-age=31536000, immutable"
    assert "max-age=300" in server.get("/static/app.js")["Cache-Control"]
    assert "max-age=2592000" in server.get("/kept/app.js")["Cache-Control"]
    assert "public" in server.get("/kept/app.js")["Cache-Control"]


def test_a_fresh_copy_is_304(server):
    whole = server.get("/static/style.css")
    tag, date = whole["ETag"], whole["Last-Modified"]
    epoch = "Thu, 01 Jan 1970 00:00:01 GMT"
    cases = [
        ((f"If-None-Match: {tag}",), 304), ((f'If-None-Match: "other", W/{tag}',), 304),
        (("If-None-Match: *",), 304), (('If-None-Match: "other"',), 200),
        ((f"If-Modified-Since: {date}",), 304), ((f"If-Modified-Since: {epoch}",), 200),
        (("If-Modified-Since: nonsense",), 200),
        (('If-None-Match: "other"', f"If-Modified-Since: {date}"), 200),
        ((f"If-None-Match: {tag}", f"If-Modified-Since: {epoch}"), 304),
        ((f"If-Match: {tag}",), 200), (('If-Match: "other"',), 412), (("If-Match: *",), 200),
        ((f"If-Unmodified-Since: {date}",), 200), ((f"If-Unmodified-Since: {epoch}",), 412),
    ]
    for fields, status in cases:
        answer = server.get("/static/style.css", *fields)
        assert answer.status == status, fields
        if status == 304:
            assert answer.body == b"" and answer["ETag"] == tag and answer["Cache-Control"]


def test_a_changed_file_is_noticed(server, folder):
    path = folder / "changing.txt"
    path.write_bytes(b"one")
    first = server.get("/static/changing.txt")
    assert first.body == b"one"
    replacement = folder.parent / "replacement"
    replacement.write_bytes(b"other")
    replacement.rename(path)
    until(lambda: server.get("/static/changing.txt").body == b"other", "the new content is served")
    assert server.get("/static/changing.txt", f"If-None-Match: {first['ETag']}").status == 200
    path.write_bytes(b"longer than before")
    until(lambda: server.get("/static/changing.txt").body == b"longer than before",
          "the new content is served")
    path.unlink()
    until(lambda: server.get("/static/changing.txt").status == 404, "the file is gone")


# --- ranges ------------------------------------------------------------------

@pytest.mark.parametrize("asked, first, last", [
    ("bytes=0-9", 0, 10), ("bytes=10-10", 10, 11), ("bytes=5119990-", 5119990, None),
    ("bytes=-5", -5, None), ("bytes=0-99999999", 0, None), ("bytes=-99999999", 0, None)])
def test_one_range(server, asked, first, last):
    answer = server.get("/static/large.bin", f"Range: {asked}")
    expected = LARGE[first:last]
    start = first % len(LARGE)
    assert (answer.status, answer.body) == (206, expected)
    assert answer["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{len(LARGE)}"


def test_many_ranges_come_in_parts(server):
    answer = server.get("/static/large.bin", "Range: bytes=0-3,1000-1003,-4")
    assert answer.status == 206
    message = email.parser.BytesParser().parsebytes(
        b"Content-Type: " + answer["Content-Type"].encode() + b"\r\n\r\n" + answer.body)
    assert message.get_content_type() == "multipart/byteranges"
    parts = [(part["Content-Range"], part.get_payload(decode=True))
             for part in message.get_payload()]
    end = len(LARGE)
    assert parts == [(f"bytes 0-3/{end}", LARGE[:4]), (f"bytes 1000-1003/{end}", LARGE[1000:1004]),
                     (f"bytes {end - 4}-{end - 1}/{end}", LARGE[-4:])]


def test_a_range_beyond_the_end_is_416(server):
    answer = server.get("/static/style.css", "Range: bytes=10000-")
    assert (answer.status, answer["Content-Range"]) == (416, f"bytes */{len(SMALL)}")


@pytest.mark.parametrize("asked", ["lines=0-1", "bytes=a-b", "bytes=9-0", "bytes=", "bytes=--1",
                                   "bytes 0-1"])
def test_a_range_that_is_not_one_is_let_pass(server, asked):
    answer = server.get("/static/style.css", f"Range: {asked}")
    assert (answer.status, answer.body) == (200, SMALL)


def test_too_many_ranges_are_the_whole_file_or_refused(server):
    asked = ",".join(f"{number}-{number}" for number in range(0, 1000, 2))
    answer = server.get("/static/large.bin", f"Range: bytes={asked}")
    assert answer.status in (200, 416) or len(answer.body) < 500 * 200


def test_if_range_decides_by_tag_and_by_date(server):
    whole = server.get("/static/style.css")
    for value, status in ((whole["ETag"], 206), ('"other"', 200), (f"W/{whole['ETag']}", 200),
                          (whole["Last-Modified"], 206), ("Thu, 01 Jan 1970 00:00:01 GMT", 200)):
        answer = server.get("/static/style.css", "Range: bytes=0-3", f"If-Range: {value}")
        assert answer.status == status, value


# --- precompressed neighbours --------------------------------------------------

@pytest.mark.parametrize("accepted, coding", [
    ("gzip", "gzip"), ("br", "br"), ("gzip;q=0.5, br", "br"), ("gzip, br;q=0", "gzip"),
    ("identity", None), ("gzip;q=0", None), ("zstd", None), (None, None)])
def test_a_compressed_neighbour_is_served_when_accepted(server, folder, accepted, coding):
    fields = [f"Accept-Encoding: {accepted}"] if accepted else []
    answer = server.get("/static/compressed.css", *fields)
    suffix = {"gzip": ".gz", "br": ".br", None: ""}[coding]
    assert answer["Content-Encoding"] == coding
    assert answer.body == Path(f"{folder}/compressed.css{suffix}").read_bytes()
    assert answer["Content-Type"].startswith("text/css")
    assert "accept-encoding" in answer["Vary"].lower()


def test_a_neighbour_may_have_its_time_in_whole_seconds(serve, tmp_path):
    """As Debian's brotli gives it."""
    (tmp_path / "style.css").write_bytes(SMALL)
    subprocess.run(["brotli", "-k", tmp_path / "style.css"], check=True)
    seconds = int((tmp_path / "style.css").stat().st_mtime)
    os.utime(tmp_path / "style.css.br", (seconds, seconds))
    answer = serve("targets:app", toml=f'[static]\n"/static/" = "{tmp_path}"\n') \
        .get("/static/style.css", "Accept-Encoding: br")
    assert answer["Content-Encoding"] == "br"
    assert answer.body == (tmp_path / "style.css.br").read_bytes()


def test_each_coding_has_a_tag_of_its_own(server):
    tags = {server.get("/static/compressed.css", f"Accept-Encoding: {coding}")["ETag"]
            for coding in ("identity", "gzip", "br")}
    assert len(tags) == 3


def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path):
    result = onebox("run", "targets:app", "--static", f"/static/={tmp_path}/none",
                    "--state", tmp_path / "state", "--check-config")
    assert result.returncode != 0 and f"{tmp_path}/none" in result.stderr
