"""Answers with what PEP 3333 says of the environ itself."""
import json


def app(environ, start_response):
    found = {name: environ[f"wsgi.{name}"]
             for name in ("version", "multithread", "multiprocess", "run_once")}
    found = {f"wsgi.{name}": value for name, value in found.items()}
    found["type"] = type(environ).__name__
    found["strings"] = all(type(value) is str for name, value in environ.items()
                           if name.isupper())
    found["wsgi.input"] = all(hasattr(environ["wsgi.input"], name)
                              for name in ("read", "readline", "readlines", "__iter__"))
    found["wsgi.errors"] = all(hasattr(environ["wsgi.errors"], name)
                               for name in ("write", "writelines", "flush"))
    found["wsgi.file_wrapper"] = callable(environ["wsgi.file_wrapper"])
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
