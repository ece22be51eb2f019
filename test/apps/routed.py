"""An app that says which request reached it, and lets files be sent in its place."""
from urllib.parse import parse_qs


def app(environ, start_response):
    path = environ["PATH_INFO"]
    wanted = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    fields = [("Content-Type", "text/plain"), ("X-App", "routed")]
    if path == "/error":
        raise RuntimeError("as asked")
    if path == "/unchanged":
        start_response("304 Not Modified", [("ETag", '"a"')])
        return []
    if path == "/framed":
        fields.append(("X-Frame-Options", "ALLOW"))
    if path == "/accel":
        start_response("200 OK", [("X-Accel-Redirect", wanted["file"]),
                                  ("Content-Disposition", "attachment"), ("Set-Cookie", "a=b")])
        return [b"never seen"]
    if path == "/streamed":
        start_response("200 OK", [("X-Accel-Redirect", wanted["file"])])
        return iter([b"never", b"seen"])
    if path == "/sendfile":
        start_response("200 OK", [("X-Sendfile", wanted["file"]), ("Content-Type", "text/x-own")])
        return []
    fields += [("X-Seen", environ[key]) for key in ("HTTP_X_AREA", "HTTP_COOKIE") if key in environ]
    environ["wsgi.input"].read()
    start_response("200 OK", fields)
    return [f"app {environ['HTTP_HOST']} {path}".encode()]
