"""Pyramid: a page, a form, a file, a stream."""
from wsgiref.validate import validator

from pyramid.config import Configurator
from pyramid.response import Response


def hello(request):
    return Response("Hello from Pyramid", content_type="text/plain", charset="utf-8")


def form(request):
    upload = request.POST.get("file")
    size = len(upload.file.read()) if upload is not None else 0
    return Response(json_body={"name": request.POST["name"], "size": size})


def file(request):
    return Response(b"x" * 100_000, content_type="application/octet-stream")


def stream(request):
    return Response(app_iter=(b"%d\n" % number for number in range(1000)),
                    content_type="text/plain", charset="utf-8")


with Configurator() as config:
    for name, view in (("/", hello), ("/form", form), ("/file", file), ("/stream", stream)):
        config.add_route(name, name)
        config.add_view(view, route_name=name)
    app = config.make_wsgi_app()
validated = validator(app)
