"""Does each request get what its host and its path say, and each answer the fields that it should?"""
import pytest

from onebox import Onebox

DENY = "DENY"
LINK = "</app.css>; rel=preload; as=style"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("routes")
    for name, content in {"spa/index.html": "spa", "spa/app.js": "script", "docs/index.html": "docs",
                          "docs/guide/index.html": "guide", "files/a.txt": "0123456789" * 200,
                          "files/sub/b c.txt": "b", "files/.hidden": "dot", "mixed/there.txt": "there",
                          "secret.txt": "secret"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    (folder / "files/out.txt").symlink_to(folder / "secret.txt")
    return folder


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    toml = f"""
[front]
unknown_hosts = "421"
body_bytes_max = "1k"
security_headers = true
protected = {{ "/protected/" = "{folder}/files" }}
early_hints_http1 = true
[front.headers]
set = {{ X-Frame-Options = "{DENY}", X-Everywhere = "yes" }}
remove = ["Server"]
[front.request_headers]
default = {{ X-Area = "all" }}

[static]
"/files/" = "{folder}/files"

[[route]]
path = "/healthz"
respond = {{ status = 200, body = "fine" }}
[[route]]
path = "/old/*"
redirect = {{ to = "/new/$rest$query", status = 301 }}

[[site]]
hosts = ["app.example", "*.app.example"]
[[site.route]]
path = "/ruled"
request_headers = {{ set = {{ X-Area = "site" }}, remove = ["Cookie"], default = {{ X-Area = "never" }} }}
[[site.route]]
path = "/gone"
respond = 410
[[site.route]]
path = "/nothing"
respond = 204
[[site.route]]
path = "/hinted"
early_hints = ["{LINK}"]
[[site.route]]
path = "/mixed/*"
static = {{ dir = "{folder}/mixed", try_files = ["$path", "@app"] }}
[[site.route]]
path = "/open"
headers = {{ remove = ["X-Everywhere"], set = {{ X-Frame-Options = "SAMEORIGIN" }}, add = {{ X-App = "route" }} }}
security_headers = false

[[site]]
hosts = ["spa.example"]
headers = {{ set = {{ X-Site = "spa" }} }}
[[site.route]]
path = "/*"
static = {{ dir = "{folder}/spa", try_files = ["$path", "/index.html"] }}

[[site]]
hosts = ["docs.example"]
static = {{ "/" = {{ dir = "{folder}/docs", index = ["index.html"] }} }}

[[site]]
hosts = ["moved.example"]
[[site.route]]
path = "/*"
redirect = "https://new.example$path$query"
"""
    with Onebox(tmp_path_factory.mktemp("onebox"), "routed:app", toml=toml) as running:
        yield running


def get(server, host, path, *fields, method="GET", body=b""):
    with server.connect() as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        if body:
            lines += f"Content-Length: {len(body)}\r\n"
        connection.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode() + body)
        return connection.response(method)


@pytest.mark.parametrize("host, path, status, body", [
    ("app.example", "/x", 200, b"app app.example /x"),
    ("APP.example:80", "/x", 200, b"app APP.example:80 /x"),
    ("eu.app.example", "/x", 200, b"app eu.app.example /x"),
    ("app.example", "/healthz", 200, b"fine"),
    ("docs.example", "/healthz", 404, None),  # the site's own prefix goes first
    ("app.example", "/gone", 410, None),
    ("app.example", "/nothing", 204, b""),
    ("app.example", "/mixed/there.txt", 200, b"there"),
    ("app.example", "/mixed/else", 200, b"app app.example /mixed/else"),
    ("app.example", "/files/sub/b%20c.txt", 200, b"b"),
    ("app.example", "/protected/a.txt", 200, b"app app.example /protected/a.txt"),
    ("spa.example", "/", 200, b"spa"),
    ("spa.example", "/players/42", 200, b"spa"),
    ("spa.example", "/app.js", 200, b"script"),
    ("spa.example", "/../../secret.txt", 400, None),
    ("spa.example", "/..%2fsecret.txt", 400, None),
    ("docs.example", "/", 200, b"docs"),
    ("docs.example", "/guide/", 200, b"guide"),
    ("unknown.example", "/x", 421, None),
    ("unknown.example", "/healthz", 421, None),
])
def test_a_request_gets_what_its_host_and_path_say(server, host, path, status, body):
    answer = get(server, host, path)
    assert answer.status == status
    if body is not None:
        assert answer.body == body


@pytest.mark.parametrize("host, path, status, location", [
    ("app.example", "/old/a%20b/%C3%A9?x=1&y=%0d%0aZ", 301, "/new/a%20b/%C3%A9?x=1&y=%0d%0aZ"),
    ("app.example", "/old//evil.example/", 301, "/new//evil.example/"),
    ("moved.example", "/a/./b?q", 307, "https://new.example/a/b?q"),
    ("moved.example", "/a%0D%0ASet-Cookie:%20x", 307, "https://new.example/a%0D%0ASet-Cookie:%20x"),
    ("docs.example", "/guide?a=b", 308, "/guide/?a=b"),
])
def test_a_redirect_leads_where_the_route_says(server, host, path, status, location):
    answer = get(server, host, path)
    assert (answer.status, answer["Location"]) == (status, location)
    assert answer["Set-Cookie"] is None


def rules_hold(answer):
    assert answer["X-Frame-Options"] == DENY
    assert answer["X-Everywhere"] == "yes"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Strict-Transport-Security"] is None  # it is not over TLS
    assert answer["Server"] is None


@pytest.mark.parametrize("path, options, status", [
    ("/x", {}, 200),
    ("/framed", {}, 200),
    ("/unchanged", {}, 304),
    ("/gone", {}, 410),
    ("/nothing", {}, 204),
    ("/error", {}, 500),
    ("/files/none", {}, 404),
    ("/files/a.txt", {}, 200),
    ("/files/a.txt", {"method": "POST", "body": b"x"}, 405),
    ("/old/x", {}, 301),
    ("/x", {"method": "POST", "body": b"x" * 2000}, 413),
    ("/%", {}, 400),
])
def test_header_rules_hold_for_answers_of_every_status(server, path, options, status):
    answer = get(server, "app.example", path, **options)
    assert answer.status == status
    rules_hold(answer)


def test_header_rules_hold_for_what_is_no_request(server):
    with server.connect() as connection:
        connection.send(b"no request\r\n\r\n")
        answer = connection.response()
    assert answer.status == 400
    rules_hold(answer)


def test_a_routes_rules_hold_over_those_of_all(server):
    answer = get(server, "app.example", "/open")
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert answer["X-Everywhere"] is None
    assert answer["X-Content-Type-Options"] is None
    assert answer.all("X-App") == ["routed", "route"]
    spa = get(server, "spa.example", "/")
    assert (spa["X-Site"], spa["X-Everywhere"]) == ("spa", "yes")
    assert get(server, "app.example", "/x")["X-Site"] is None


@pytest.mark.parametrize("path", ["/accel?file=/protected/a.txt", "/streamed?file=/protected/a.txt"])
def test_the_app_has_a_file_sent_in_its_place(server, folder, path):
    text = (folder / "files/a.txt").read_bytes()
    answer = get(server, "app.example", path)
    assert (answer.status, answer.body) == (200, text)
    assert answer["X-Accel-Redirect"] is None
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Cache-Control"] == "private, no-cache"
    rules_hold(answer)
    again = get(server, "app.example", path, ("If-None-Match", answer["ETag"]))
    assert (again.status, again.body) == (304, b"")
    part = get(server, "app.example", path, ("Range", "bytes=5-9"))
    assert (part.status, part.body, part["Content-Range"]) == (206, b"56789", "bytes 5-9/2000")
    assert get(server, "app.example", path, ("Range", "bytes=9999-"))["Content-Range"] == "bytes */2000"
    head = get(server, "app.example", path, method="HEAD")
    assert (head.status, head.body, head["Content-Length"]) == (200, b"", "2000")
    packed = get(server, "app.example", path, ("Accept-Encoding", "gzip"))
    assert packed["Content-Encoding"] == "gzip" and len(packed.body) < len(text)


def test_a_file_in_the_answers_place_keeps_what_the_app_says(server, folder):
    answer = get(server, "app.example", "/accel?file=/protected/sub/b%2520c.txt")
    assert (answer.status, answer.body) == (200, b"b")
    assert answer["Content-Disposition"] == "attachment"
    assert answer["Set-Cookie"] == "a=b"
    sent = get(server, "app.example", f"/sendfile?file={folder}/files/a.txt", method="POST", body=b"x")
    assert (sent.status, len(sent.body), sent["Content-Type"]) == (200, 2000, "text/x-own")
    assert sent["X-Sendfile"] is None


@pytest.mark.parametrize("path, status", [
    ("/accel?file=/protected/none", 404),
    ("/accel?file=/protected/.hidden", 404),
    ("/accel?file=/protected/out.txt", 404),
    ("/accel?file=/protected/../../secret.txt", 502),
    ("/accel?file=/x", 502),
    ("/sendfile?file={folder}/secret.txt", 502),
    ("/sendfile?file={folder}/files/../secret.txt", 404),
    ("/sendfile?file=/etc/passwd", 502),
])
def test_the_app_can_have_no_other_file_sent(server, folder, path, status):
    answer = get(server, "app.example", path.format(folder=folder))
    assert answer.status == status
    assert b"secret" not in answer.body and b"root:" not in answer.body
    assert answer["X-Accel-Redirect"] is None and answer["X-Sendfile"] is None
    rules_hold(answer)
    if status == 502:
        server.wait_for_line("that is in no folder of front.protected")


@pytest.mark.parametrize("path, seen", [("/ruled", ["site"]), ("/other", ["said", "a=b"])])
def test_the_app_sees_requests_as_the_rules_change_them(server, path, seen):
    answer = get(server, "app.example", path, ("X-Area", "said"), ("Cookie", "a=b"))
    assert answer.all("X-Seen") == seen
    assert get(server, "app.example", "/other").all("X-Seen") == ["all"]


def test_a_103_goes_before_the_apps_answer(server):
    with server.connect() as connection:
        connection.send(b"GET /hinted HTTP/1.1\r\nHost: app.example\r\n\r\n")
        assert connection.head() == ("HTTP/1.1", 103, "Early Hints", [("Link", LINK)])
        answer = connection.response()
        assert (answer.status, answer["Link"]) == (200, None)
        connection.send(b"POST /hinted HTTP/1.1\r\nHost: app.example\r\nContent-Length: 1\r\n\r\nx")
        assert connection.response().status == 200
    with server.connect() as connection:
        connection.send(b"GET /hinted HTTP/1.0\r\nHost: app.example\r\n\r\n")
        assert connection.response().status == 200
