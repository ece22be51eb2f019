"""Cannot be imported."""
import json

settings = json.loads("{not json")


def app(environ, start_response):
    """Never reached."""
