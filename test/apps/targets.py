"""The kinds of target that the command line can name."""


def answer(text):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]
    return app


app = application = answer("app")


def create_app(name="none", *more, debug=False, **named):
    return answer(f"{name} {more} {debug} {named}")


class Holder:
    app = staticmethod(answer("inner"))


holder = Holder()
not_callable = 5


def returns_nothing():
    return None
