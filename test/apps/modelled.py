"""A site whose answers say all that they were made from. What a path's second part names is an answer's
kind, of KINDS; each path has a version, which POST and /bump/PATH raise."""
import os
import threading
from collections import defaultdict

STALE = "max-age=60", "60"  # no longer fresh when it is made
KINDS = {  # Cache-Control, Age, a validator, what it varies by besides
    "kept": ("max-age=60", "0", True, ""),
    "plain": ("max-age=60", "0", False, ""),
    "asked": ("no-cache", "0", True, ""),
    "renewed": (*STALE, True, ""),
    "behind": ("max-age=60, stale-while-revalidate=60", "60", True, ""),
    "stands_in": ("max-age=60, stale-if-error=60", "60", True, ""),
    "short": ("max-age=1", "0", False, ""),
    "language": ("max-age=60", "0", True, "Accept-Language"),
    "public": ("public, max-age=60", "0", True, ""),
    "private": ("private, max-age=60", "0", True, "Cookie"),
    "never": ("no-store", "0", False, ""),
}
lock = threading.Lock()
versions = defaultdict(int)


def body_of(path, tag):
    """Bytes that say to the last what they are of."""
    return f"{path} {tag} ".encode() * 40


def cookies_of(environ):
    pairs = (part.partition("=") for part in environ.get("HTTP_COOKIE", "").split("; "))
    return {name: value for name, _, value in pairs}


def raised(path):
    with lock:
        versions[path] += 1
        return versions[path]


def say(start_response, text):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
    return [text.encode()]


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/bump/"):
        return say(start_response, str(raised(path.removeprefix("/bump"))))
    if environ["REQUEST_METHOD"] == "POST":
        return say(start_response, str(raised(path)))
    control, age, validated, vary = KINDS[path.split("/")[2]]
    with lock:
        version = versions[path]
    cookies = cookies_of(environ)
    user = "" if control.startswith("public") else environ.get("HTTP_AUTHORIZATION", "")
    tag = ";".join([str(version), cookies.get("country", ""), cookies.get("session", ""),
                    cookies.get("other", ""), environ.get("HTTP_ACCEPT_LANGUAGE", "") if vary == "Accept-Language"
                    else "", user, environ["QUERY_STRING"]]).replace(" ", "-")
    fields = [("Content-Type", "text/plain"), ("Cache-Control", control), ("X-Made", tag),
              ("Onebox-Cache-Tags", path.replace("/", "-"))]
    if age != "0":
        fields.append(("Age", age))
    if vary:
        fields.append(("Vary", vary))
    if validated:
        fields.append(("ETag", f'"{tag}"'))
    if "HTTP_X_FAILS" in environ:
        start_response("500 Failed", [("Content-Type", "text/plain"), ("X-Made", tag)])
        return [b"failed"]
    if validated and environ.get("HTTP_IF_NONE_MATCH") == f'"{tag}"':
        start_response("304 Not Modified", fields)
        return [b""]
    start_response("200 OK", fields)
    body = body_of(path, tag)
    return [body] if os.urandom(1)[0] < 128 else iter([body[:9], body[9:]])
