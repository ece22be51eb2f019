"""Django: a page, a form, a file, a stream."""
import io
from wsgiref.validate import validator

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="test", MIDDLEWARE=[])
django.setup()


def hello(request):
    return HttpResponse("Hello from Django", content_type="text/plain")


def form(request):
    upload = request.FILES.get("file")
    return JsonResponse({"name": request.POST["name"], "size": upload.size if upload else 0})


def file(request):
    return FileResponse(io.BytesIO(b"x" * 100_000), content_type="application/octet-stream")


def stream(request):
    return StreamingHttpResponse((f"{number}\n" for number in range(1000)),
                                 content_type="text/plain")


urlpatterns = [path("", hello), path("form", form), path("file", file), path("stream", stream)]
app = get_wsgi_application()
validated = validator(app)
