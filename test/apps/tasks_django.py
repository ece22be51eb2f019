"""Django's own tasks, and requests that enqueue them and ask what has become of them."""
import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="test", MIDDLEWARE=[], USE_TZ=True,
                   TASKS={"default": {"BACKEND": "onebox.django_tasks.OneboxBackend"}})
django.setup()

from django.tasks import default_task_backend, task


@task
def add(a, b):
    return {"sum": a + b, "pid": os.getpid()}


@task(takes_context=True, retries=1)
def fails(context, word):
    raise LookupError(f"{word} in attempt {context.attempt}")


def enqueue(request, name, word):
    result = add.enqueue(1, int(word)) if name == "add" else fails.enqueue(word)
    return HttpResponse(result.id)


def show(request, id):
    result = default_task_backend.get_result(id)
    return JsonResponse({
        "status": result.status, "args": result.args, "attempts": result.attempts,
        "errors": [[error.exception_class_path, error.traceback] for error in result.errors],
        "value": result.return_value if result.status == "SUCCESSFUL" else None})


urlpatterns = [path("enqueue/<str:name>/<str:word>", enqueue), path("show/<str:id>", show)]
app = get_wsgi_application()
