"""Are responses compressed where that is right, and only there?"""
import gzip
import subprocess

import pytest

from onebox import Onebox

TEXT = (b"the same words again and again " * 1000)[:20_000]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    (folder / "style.css").write_bytes(TEXT)
    (folder / "picture.png").write_bytes(TEXT)
    (folder / "small.css").write_bytes(b"p {}")
    toml = f'[static]\n"/static/" = "{folder}"\n'
    with Onebox(tmp_path_factory.mktemp("onebox"), "compressed:app", toml=toml) as running:
        yield running


def decoded(answer):
    coding = answer["Content-Encoding"]
    if coding is None:
        return answer.body
    if coding == "gzip":
        return gzip.decompress(answer.body)
    program = {"br": "brotli", "zstd": "zstd"}[coding]
    return subprocess.run([program, "-d", "-c"], input=answer.body, capture_output=True,
                          check=True).stdout


@pytest.mark.parametrize("path", ["/text", "/static/style.css"])
@pytest.mark.parametrize("accepted, coding", [
    ("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip;q=0.5, br;q=0.9", "br"),
    ("br;q=0.1, gzip;q=0.9", "gzip"), ("gzip;q=0", None), ("identity", None), ("", None),
    ("*;q=0, gzip", "gzip"), ("x-gzip", "gzip"), ("GZIP", "gzip"), ("nonsense", None),
    ("gzip;q=0.5, identity", None), ("gzip;q=nonsense", None)])
def test_the_coding_is_the_one_that_the_client_likes_best(server, path, accepted, coding):
    answer = server.get(path, f"Accept-Encoding: {accepted}")
    assert answer["Content-Encoding"] in ((coding, "x-gzip") if accepted == "x-gzip" else (coding,))
    assert decoded(answer) == TEXT
    assert "accept-encoding" in answer["Vary"].lower()
    if coding:
        assert len(answer.body) < len(TEXT) / 10


def test_any_coding_is_right_for_a_star(server):
    answer = server.get("/text", "Accept-Encoding: *")
    assert answer["Content-Encoding"] in ("gzip", "br", "zstd") and decoded(answer) == TEXT


def test_a_client_that_says_nothing_gets_no_coding(server):
    assert server.get("/text")["Content-Encoding"] is None


@pytest.mark.parametrize("path", ["/small", "/picture", "/encoded", "/no_transform", "/partial",
                                  "/events", "/digest", "/static/picture.png", "/static/small.css"])
def test_what_gains_nothing_or_must_not_be_changed_is_left_alone(server, path):
    plain, asked = server.get(path), server.get(path, "Accept-Encoding: gzip, br")
    assert asked["Content-Encoding"] == plain["Content-Encoding"]
    assert asked.body == plain.body


def test_a_strong_tag_becomes_weak_and_the_length_is_the_new_one(server):
    answer = server.get("/tagged", "Accept-Encoding: gzip")
    assert answer["ETag"] == 'W/"strong"' and decoded(answer) == TEXT
    assert server.get("/tagged")["ETag"] == '"strong"'
    assert answer["Content-Length"] is None or int(answer["Content-Length"]) == len(answer.body)


def test_vary_keeps_what_the_app_has_said(server):
    for accepted in ("gzip", "identity"):
        vary = server.get("/varied", f"Accept-Encoding: {accepted}")["Vary"].lower()
        assert "cookie" in vary and "accept-encoding" in vary


def test_head_has_the_fields_of_get(server):
    head = server.ask("HEAD", "/text", "Accept-Encoding: gzip")
    assert head.status == 200 and head.body == b""


def test_a_large_body_in_parts_is_compressed_whole(server):
    for coding in ("gzip", "br", "zstd"):
        answer = server.get("/parts", f"Accept-Encoding: {coding}")
        assert answer["Content-Encoding"] == coding and decoded(answer) == TEXT * 50


def test_it_can_be_turned_off(serve):
    running = serve("compressed:app", toml="[compression]\nenabled = false\n")
    assert running.get("/text", "Accept-Encoding: gzip")["Content-Encoding"] is None


def test_codings_and_sizes_can_be_set(serve):
    running = serve("compressed:app", toml='[compression]\ncodings = ["gzip"]\nmin_bytes = 1\n')
    assert running.get("/text", "Accept-Encoding: br")["Content-Encoding"] is None
    assert running.get("/small", "Accept-Encoding: br, gzip")["Content-Encoding"] == "gzip"


def test_the_types_that_are_compressed_are_the_operators(serve, tmp_path):
    for name in ("style.css", "picture.png"):
        (tmp_path / name).write_bytes(TEXT)
    running = serve("compressed:app", toml=f"""
[compression]
types = ["image/*"]
[static]
"/static/" = "{tmp_path}"
""")
    for path, coding in (("/picture", "gzip"), ("/text", None), ("/static/picture.png", "gzip"),
                         ("/static/style.css", None)):
        answer = running.get(path, "Accept-Encoding: gzip")
        assert answer["Content-Encoding"] == coding, path
        assert decoded(answer) == TEXT


def test_what_stands_for_a_compressed_answer_varies_and_is_tagged_as_that_is(server):
    coded = server.get("/tagged", "Accept-Encoding: gzip")
    assert coded["ETag"] == 'W/"strong"'
    answer = server.get("/not_modified", "Accept-Encoding: gzip", f"If-None-Match: {coded['ETag']}")
    assert (answer.status, answer["ETag"], answer["Vary"]) == (304, 'W/"strong"', "Accept-Encoding")
    assert server.get("/not_modified", 'If-None-Match: "strong"')["ETag"] == '"strong"'
    assert server.get("/partial", "Accept-Encoding: gzip")["Vary"] == "Accept-Encoding"
