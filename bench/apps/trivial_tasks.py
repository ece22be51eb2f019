"""One task that does nothing."""
from onebox import task


@task
def nothing(number):
    pass


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
