"""Work that can be held, and workers that die of it. Files in the folder HOLD (environment) tell
the test what has begun, and the app when to go on; they work across processes."""
import os
import signal
import time
from pathlib import Path

HOLD = Path(os.environ.get("HOLD", "."))
TEXT = [("Content-Type", "text/plain")]


def wait_for(path):
    while not path.exists():
        time.sleep(0.005)


def hello(name, start_response):
    start_response("200 OK", TEXT)
    return [str(os.getpid()).encode()]


def hold(name, start_response):
    """Says that it has begun, and answers when it is let go."""
    (HOLD / f"{name}.{os.getpid()}.begun").touch()
    wait_for(HOLD / f"{name}.go")
    return hello(name, start_response)


def hold_in_body(name, start_response):
    """The same, with the head and one part of the body sent before."""
    start_response("200 OK", TEXT)
    yield b"begun "
    (HOLD / f"{name}.{os.getpid()}.begun").touch()
    wait_for(HOLD / f"{name}.go")
    yield str(os.getpid()).encode()


def die(name, start_response):
    (HOLD / f"{name}.{os.getpid()}.begun").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(name, start_response):
    """Kills the first worker that has it, and is answered by the second."""
    if not list(HOLD.glob(f"{name}.*.begun")):
        die(name, start_response)
    return hello(name, start_response)


def leave(name, start_response):
    os._exit(3)


def crash(name, start_response):
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


PATHS = {"": hello, "hold": hold, "hold_in_body": hold_in_body, "die": die, "die_once": die_once,
         "leave": leave, "crash": crash}


def app(environ, start_response):
    _, path, *name = environ["PATH_INFO"].split("/", 2)
    environ["wsgi.input"].read()
    return PATHS[path]("".join(name), start_response)
