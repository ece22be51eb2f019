"""An app that says where it is: what PEP 3333 tells it of its URL, and a URL that it makes by that."""
from wsgiref.util import application_uri
from urllib.parse import urljoin, urlsplit


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    item = urlsplit(urljoin(application_uri(environ).rstrip("/") + "/", "item")).path
    return ["|".join((environ["SCRIPT_NAME"], environ["PATH_INFO"], item)).encode()]
