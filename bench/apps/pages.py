"""What a front has to do with an app's answers: keep them, compress them, ask for them once.

/page   2 KiB, good for an hour
/text   64 KiB of a page with a large table, not to be kept
/slow   takes a second, and is good for a second; it says how often it ran"""
import random
import time

SLOW_SECONDS = 1.0
WORDS = "work buy sell vote law war nation region market price player company".split()
words = random.Random("pages")
row = "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n".format


def table(size):
    text = "<!doctype html><title>A table</title><table>\n"
    while len(text) < size:
        text += row(words.randrange(10**6), *words.choices(WORDS, k=3))
    return text[:size].encode()


PAGE, TEXT = table(2 << 10), table(64 << 10)
runs = 0


def app(environ, start_response):
    global runs
    kept, body = "no-store", b""
    if environ["PATH_INFO"] == "/page":
        kept, body = "max-age=3600", PAGE
    elif environ["PATH_INFO"] == "/text":
        body = TEXT
    elif environ["PATH_INFO"] == "/slow":
        runs += 1
        kept, body = "max-age=1", str(runs).encode()
        time.sleep(SLOW_SECONDS)
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", kept),
                              ("Content-Length", str(len(body)))])
    return [body]
