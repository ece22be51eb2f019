"""The servers of the front's groups: Onebox and nginx at its best, each before the same files, app or upstream."""
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Sequence

from harness.processes import Process
from harness.servers import (APPS, CONNECTIONS_MAX, LONG, NO_SENDFILE, SENDFILE, STATIC, OneboxApp, Place,
                             Running, Server, Size, free_port, gunicorn_command, nginx_lines, shown,
                             start_nginx, start_onebox, unix_answers)

BROTLI = ["/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so"]  # libnginx-mod-http-brotli-filter
GZIP_LEVEL, BROTLI_LEVEL = 5, 4
CIPHER = "TLS_AES_128_GCM_SHA256"

LIMITS = f"""\
[front]
connections_max = {CONNECTIONS_MAX}
idle_timeout = "{LONG}s"
requests_per_connection_max = 1000000000
"""

ONE_WORKER = Size(workers=1, threads=4)


def make_certificate(folder: Path) -> None:
    """cert.pem and key.pem: ECDSA P-256, signed by itself."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True)


# --- files, over TLS and HTTP/2

TLS_LISTENER = f"""\
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 60s;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites {CIPHER};
    ssl_certificate {{folder}}/cert.pem;
    ssl_certificate_key {{folder}}/key.pem;
    server {{{{
        listen 127.0.0.1:{{port}} ssl{{more}} backlog=4096;
        location /static/ {{{{ alias {{static}}/; }}}}
    }}}}"""


def start_secure_onebox(place: Place, stack: ExitStack) -> Running:
    make_certificate(place.folder)
    toml = LIMITS + f'[tls]\ncert = ["{place.folder}/cert.pem"]\nkey = ["{place.folder}/key.pem"]\n'
    return start_onebox(OneboxApp("hello:app", APPS, toml, workers=1, threads=1,
                                  listen="https://127.0.0.1:0"), place, stack)


def start_secure_nginx(place: Place, stack: ExitStack, more: str = "") -> Running:
    make_certificate(place.folder)
    port = free_port()
    text = TLS_LISTENER.format(folder=place.folder, port=port, static=place.static, more=more)
    front = start_nginx(text, "/static/1k.bin", port, place, stack, scheme="https")
    return Running(f"https://127.0.0.1:{port}", nginx_lines(text), [front.pid])


def start_plain_onebox(place: Place, stack: ExitStack) -> Running:
    return start_onebox(OneboxApp("hello:app", APPS, LIMITS, workers=1, threads=1), place, stack)


def start_http2_nginx(place: Place, stack: ExitStack) -> Running:
    """By prior knowledge: that listener knows no HTTP/1, which alone the probe speaks; so there are two."""
    port, probed = free_port(), free_port()
    text = STATIC.format(files=NO_SENDFILE, port=probed, static=place.static).replace(
        f"listen 127.0.0.1:{probed} ", f"listen 127.0.0.1:{probed}; listen 127.0.0.1:{port} http2 ")
    front = start_nginx(text, "/static/1k.bin", probed, place, stack)
    return Running(f"http://127.0.0.1:{port}", nginx_lines(text), [front.pid])


SECURE = [
    Server("onebox", lambda size: "1 reactor", start_secure_onebox),
    Server("nginx", lambda size: f"1 worker; {CIPHER}; open_file_cache", start_secure_nginx),
]
HTTP2 = [
    Server("onebox", lambda size: "1 reactor; by prior knowledge", start_plain_onebox),
    Server("nginx", lambda size: "1 worker; by prior knowledge; open_file_cache", start_http2_nginx),
]
SECURE_HTTP2 = [
    SECURE[0],
    Server("nginx", lambda size: f"1 worker; {CIPHER}; open_file_cache",
           lambda place, stack: start_secure_nginx(place, stack, " http2")),
]


# --- an app's answers: kept, asked for once, compressed

CACHED = """\
    {files}
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 60s;
    proxy_cache_path {folder}/cache levels=1:2 keys_zone=pages:10m use_temp_path=off;
    upstream app {{ server unix:{path}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_cache pages; proxy_cache_lock on; proxy_cache_lock_timeout 30s; {stale}
        }}
    }}"""

COMPRESSED = """\
    {coding}
    upstream app {{ server unix:{path}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffers 8 16k;
        }}
    }}"""
GZIP = f"gzip on; gzip_comp_level {GZIP_LEVEL}; gzip_proxied any; gzip_vary on;"
BROTLI_ON = f"brotli on; brotli_comp_level {BROTLI_LEVEL};"

ROUTED = """\
[[route]]
path = "{path}"
cache = {{ ttl = "headers", ignore_cookies = ["session"] }}
"""
UNCOMPRESSED = "[compression]\nenabled = false\n"


def start_app_behind_nginx(place: Place, stack: ExitStack, template: str, modules: Sequence[str] = (),
                           **more: str) -> Running:
    path = place.folder / "app.sock"
    words = gunicorn_command("gthread", ONE_WORKER, f"unix:{path}", "pages:app")
    app = stack.enter_context(Process(words, place.folder / "server.log", place.cpus))
    app.wait_until(lambda: unix_answers(path))
    port = free_port()
    text = template.format(path=path, port=port, folder=place.folder, **more)
    front = start_nginx(text, "/page", port, place, stack, modules)
    return Running(f"http://127.0.0.1:{port}", [shown(words), *nginx_lines(text)], [app.pid, front.pid])


def pages(toml: str, note: str, name: str = "onebox") -> Server:
    app = OneboxApp("pages:app", APPS, toml, workers=1, threads=4)
    return Server(name, lambda size: note, lambda place, stack: start_onebox(app, place, stack))


def nginx_cache(name: str, files: str, stale: str = "") -> Server:
    return Server(name, lambda size: f"1 worker; {files} open_file_cache; proxy_cache_lock on; {stale}",
                  lambda place, stack: start_app_behind_nginx(place, stack, CACHED, files=files, stale=stale))


OWN_FILE = "onebox-static"
KEPT = [
    pages(LIMITS + UNCOMPRESSED + ROUTED.format(path="/page"), "1 reactor; from its response cache"),
    pages(LIMITS + UNCOMPRESSED, "1 reactor; as a static file", OWN_FILE),
    nginx_cache("nginx-sendfile", SENDFILE),
    nginx_cache("nginx-read", NO_SENDFILE),
]
EXPIRED = [
    pages(LIMITS + ROUTED.format(path="/slow"), "1 reactor"),
    nginx_cache("nginx", NO_SENDFILE),
    nginx_cache("nginx-stale", NO_SENDFILE,
                "proxy_cache_use_stale updating; proxy_cache_background_update on;"),
]


def nginx_coding(directives: str, modules: Sequence[str]) -> Callable[[Place, ExitStack], Running]:
    return lambda place, stack: start_app_behind_nginx(place, stack, COMPRESSED, modules, coding=directives)


CODED = [
    pages(f"[compression]\ngzip_level = {GZIP_LEVEL}\nbrotli_level = {BROTLI_LEVEL}\n",
          f"1 reactor; gzip {GZIP_LEVEL}, brotli {BROTLI_LEVEL}"),
    Server("nginx", lambda size: f"1 worker; {GZIP} {BROTLI_ON}", nginx_coding(f"{GZIP}\n    {BROTLI_ON}", BROTLI)),
]


# --- an upstream

UPSTREAM = """\
    sendfile off; output_buffers 2 64k;
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 60s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /static/ {{ alias {static}/; }}
    }}"""

PROXIED = """\
    upstream files {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}"""


def start_upstream(place: Place, stack: ExitStack) -> int:
    """Another nginx, on the client's CPU, that is part of no measured server; its port."""
    own = Place(place.folder / "upstream", place.other_cpus, place.size, place.onebox, place.static)
    own.folder.mkdir(mode=0o755)
    port = free_port()
    start_nginx(UPSTREAM.format(port=port, static=own.static), "/static/2k.bin", port, own, stack)
    return port


def start_proxying_onebox(place: Place, stack: ExitStack) -> Running:
    upstream = start_upstream(place, stack)
    toml = LIMITS + f'[[route]]\npath = "/**"\nproxy = "http://127.0.0.1:{upstream}"\n'
    app = OneboxApp("hello:app", APPS, toml, workers=1, threads=1)
    own = Place(place.folder / "onebox", place.cpus, place.size, place.onebox)  # its files are upstream's
    own.folder.mkdir(mode=0o755)
    return start_onebox(app, own, stack)


def start_proxying_nginx(place: Place, stack: ExitStack) -> Running:
    upstream, port = start_upstream(place, stack), free_port()
    text = PROXIED.format(upstream=upstream, port=port)
    front = start_nginx(text, "/static/2k.bin", port, place, stack)
    return Running(f"http://127.0.0.1:{port}", nginx_lines(text), [front.pid])


PROXIES = [
    Server("onebox", lambda size: "1 reactor", start_proxying_onebox),
    Server("nginx", lambda size: "1 worker; keepalive 64", start_proxying_nginx),
]
