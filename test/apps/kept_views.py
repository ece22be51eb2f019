"""Views of Flask, of Django and a WSGI app that say of themselves that their answers may be kept."""
import itertools

import onebox

runs = itertools.count(1)


def flask_app():
    import flask
    app = flask.Flask(__name__)

    @app.get("/prices/<country>")
    @onebox.cached_response(ttl=60, tags=["prices", "prices:{country}"], vary=["Accept-Language"])
    def prices(country):
        return f"{country} {next(runs)}"

    @app.get("/failing")
    @onebox.cached_response(ttl=60)
    def failing():
        return f"{next(runs)}", 500

    @app.get("/private")
    @onebox.cached_response(ttl=60)
    def private():
        return f"{next(runs)}", {"Cache-Control": "private"}

    @app.get("/purge")
    def purge():
        return f"{onebox.purge(**flask.request.args)}"

    return app


@onebox.cached_response(ttl=60, tags="all")
def wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['PATH_INFO']} {next(runs)}".encode()]


def django_app():
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    @onebox.cached_response(ttl=60, tags=["prices:{country}"])
    def prices(request, country):
        return HttpResponse(f"{country} {next(runs)}")

    def purge(request):
        return HttpResponse(f"{onebox.purge(**request.GET.dict())}")

    settings.configure(ROOT_URLCONF=(path("prices/<country>", prices), path("purge", purge)),
                       ALLOWED_HOSTS=["*"], SECRET_KEY="x")
    django.setup()
    return get_wsgi_application()
