"""The app that does nothing: what is left of a request's cost is the server's."""
BODY = b"Hello from an app that does nothing, so that what a request costs is what its server costs. " \
       b"Goodbye\n"


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"),
                              ("Content-Length", str(len(BODY)))])
    return [BODY]
