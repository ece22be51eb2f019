"""Gunicorn's settings: each is a row, with what becomes of it here."""
from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Kind(enum.Enum):
    TEXT = "text"
    INTEGER = "a whole number"
    BOOL = "True or False"
    LIST = "a list of texts"
    DICT = "a dict"
    HOOK = "a function"
    ANY = "anything"


class Verdict(enum.Enum):
    HONOURED = "honoured"  # does what it did
    MAPPED = "mapped"      # is an option here, or does nearly what it did
    IGNORED = "ignored"    # has no effect
    REFUSED = "refused"    # would be wrong to go on: the start ends


@dataclass(frozen=True)
class Setting:
    name: str
    kind: Kind
    default: Any = None
    flags: tuple[str, ...] = ()  # of Gunicorn's command line
    verdict: Verdict = Verdict.IGNORED
    option: str = ""  # of Onebox, where one takes the value
    why: str = ""     # a sentence: how, or why not
    parameters: int = 0  # of a hook


@dataclass(frozen=True)
class Section:
    title: str
    settings: tuple[Setting, ...]


TEXT, INTEGER, BOOL, LIST, DICT, HOOK, ANY = Kind
HONOURED, MAPPED, IGNORED, REFUSED = Verdict

ACCESS_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
SCHEME_FIELDS = {"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https",
                 "X-FORWARDED-SSL": "on"}

_NO_ASGI = "Onebox serves WSGI; an ASGI app needs an ASGI server"
_OUR_TLS = "say it in onebox.toml instead: [tls] cert and key, and https:// before the address in front.listen"
_OUR_HTTP2 = "Onebox speaks HTTP/2 by itself: front.http2 and the options beside it"
_NO_DIRTY = "Onebox has no dirty workers; a task queue does that work"
_STRICT = "Onebox is strict here: what can be read in two ways is refused"
_JOURNAL = "Onebox writes to a file or to standard error, which systemd gives to the journal"
_METRICS = "Onebox is scraped: /metrics on admin.listen has what statsd got"
_STATUS = "onebox status asks the box, through its state folder"
_TLS_ELSEWHERE = "TLS is said in [tls] of onebox.toml"

SECTIONS = (
    Section("Server socket", (
        Setting("bind", LIST, ["127.0.0.1:8000"], ("-b", "--bind"), MAPPED, "front.listen",
                "a name is looked up once; an address without a port gets 8000"),
        Setting("backlog", INTEGER, 2048, ("--backlog",),
                why="the kernel's queue is short-lived here: the front accepts at once, and "
                    "app.queue_max bounds what waits"),
    )),
    Section("Worker processes", (
        Setting("workers", INTEGER, 1, ("-w", "--workers"), MAPPED, "app.workers",
                "app workers; WEB_CONCURRENCY, else 1, is the default as with Gunicorn"),
        Setting("worker_class", ANY, "sync", ("-k", "--worker-class"), MAPPED, "",
                "sync and gthread are threads here; gevent is app.worker_class = \"gevent\"; "
                "eventlet, tornado and unknown classes are threads instead; ASGI classes are refused"),
        Setting("threads", INTEGER, 1, ("--threads",), MAPPED, "app.threads",
                "requests that one worker runs at the same time; with gevent ignored, as by Gunicorn"),
        Setting("worker_connections", INTEGER, 1000, ("--worker-connections",), MAPPED,
                "app.greenlets",
                "with gevent, 1000 at most: requests that one worker runs at the same time. Without it "
                "ignored: the front holds the connections (front.connections_max)"),
        Setting("max_requests", INTEGER, 0, ("--max-requests",), MAPPED, "app.recycle_requests",
                "a worker is replaced after so many requests; the new one starts first"),
        Setting("max_requests_jitter", INTEGER, 0, ("--max-requests-jitter",), MAPPED,
                "app.recycle_jitter", "spreads the replacements"),
        Setting("timeout", INTEGER, 30, ("-t", "--timeout"), MAPPED, "app.timeout",
                "Gunicorn's was the heartbeat of a worker; here it is how long a request may "
                "take, then its client gets 504. 0, no limit, becomes one day"),
        Setting("graceful_timeout", INTEGER, 30, ("--graceful-timeout",), MAPPED,
                "front.drain_timeout", "what has begun may take so long to finish at the end"),
        Setting("keepalive", INTEGER, 2, ("--keep-alive",), MAPPED, "front.idle_timeout",
                "an idle connection costs no worker here. 0 closes after each response "
                "(front.requests_per_connection_max = 1)"),
        Setting("asgi_loop", TEXT, "auto", ("--asgi-loop",), why=_NO_ASGI),
        Setting("asgi_lifespan", TEXT, "auto", ("--asgi-lifespan",), why=_NO_ASGI),
        Setting("asgi_disconnect_grace_period", INTEGER, 3, ("--asgi-disconnect-grace-period",),
                why=_NO_ASGI),
        Setting("http_parser", TEXT, "auto", ("--http-parser",), why="Onebox has one parser"),
    )),
    Section("Security", (
        Setting("limit_request_line", INTEGER, 4094, ("--limit-request-line",), MAPPED,
                "front.request_line_max",
                "from 64 B; above 32 KiB front.head_bytes_max grows with it. 0, no limit, leaves "
                "Onebox's"),
        Setting("limit_request_fields", INTEGER, 100, ("--limit-request-fields",), MAPPED,
                "front.fields_max", "256 at most"),
        Setting("limit_request_field_size", INTEGER, 8190, ("--limit-request-field_size",), MAPPED,
                "front.head_bytes_max",
                "Onebox limits the head as a whole, not each field: it grows where one field of "
                "that size would not fit"),
    )),
    Section("Server mechanics", (
        Setting("preload_app", BOOL, False, ("--preload",), MAPPED, "app.preload",
                "True is on: the zygote imports the app, and forks workers whatever that has left "
                "behind. Else off, as with Gunicorn: each worker imports it by itself, after post_fork"),
        Setting("sendfile", BOOL, True, ("--no-sendfile",),
                why="the front sends wsgi.file_wrapper's files itself; no worker waits for it"),
        Setting("reuse_port", BOOL, False, ("--reuse-port",),
                why="one front holds the sockets, and one queue is fair to all workers"),
        Setting("chdir", TEXT, None, ("--chdir",), MAPPED, "app.chdir",
                "the app runs in it and is imported from it"),
        Setting("daemon", BOOL, False, ("-D", "--daemon"),
                why="Onebox stays in the foreground; systemd puts it into the background"),
        Setting("raw_env", LIST, [], ("-e", "--env"), MAPPED, "app.env",
                "variables of the workers, there before the app is imported"),
        Setting("pidfile", TEXT, None, ("-p", "--pid"), why=_STATUS + "; --json has the pids"),
        Setting("worker_tmp_dir", TEXT, None, ("--worker-tmp-dir",),
                why="a worker proves that it lives through its channel, not through a file"),
        Setting("user", ANY, None, ("-u", "--user"), MAPPED, "app.user",
                "the workers run as this user"),
        Setting("group", ANY, None, ("-g", "--group"), MAPPED, "app.group",
                "the workers run in this group"),
        Setting("umask", INTEGER, 0, ("-m", "--umask"), HONOURED, "",
                "set before the app is imported; where it is not set, it is that of who starts "
                "Onebox, not 0"),
        Setting("initgroups", BOOL, False, ("--initgroups",),
                why="the user has all his groups"),
        Setting("tmp_upload_dir", TEXT, None, (), MAPPED, "front.spool_folder",
                "bodies that memory does not hold are files without a name there"),
        Setting("secure_scheme_headers", DICT, SCHEME_FIELDS,
                why="a trusted proxy says the scheme in X-Forwarded-Proto or Forwarded; other "
                    "fields are not read"),
        Setting("forwarded_allow_ips", LIST, ["127.0.0.1", "::1"], ("--forwarded-allow-ips",),
                MAPPED, "front.trusted_proxies",
                "more follows from it here: a trusted proxy's word also makes REMOTE_ADDR and "
                "Host. FORWARDED_ALLOW_IPS, else 127.0.0.1 and ::1, is the default as with "
                "Gunicorn; unix sockets are trusted, as with Gunicorn"),
        Setting("pythonpath", TEXT, None, ("--pythonpath",), HONOURED, "",
                "in front of sys.path, before the app is imported"),
        Setting("paste", TEXT, None, ("--paste", "--paster"), REFUSED, "",
                "Onebox reads no Paste Deploy file: write a module that loads it, and name that"),
        Setting("proxy_protocol", ANY, False, ("--proxy-protocol",), REFUSED, "",
                "Onebox reads the PROXY protocol from the networks in front.proxy_protocol: name the "
                "proxy's there, in onebox.toml, and drop this one"),
        Setting("proxy_allow_ips", LIST, ["127.0.0.1", "::1"], ("--proxy-allow-from",),
                why="who may speak the PROXY protocol is said in front.proxy_protocol"),
        Setting("protocol", TEXT, "http", ("--protocol",), REFUSED, "",
                "Onebox speaks HTTP alone: let the proxy use it (nginx: proxy_pass)"),
        Setting("uwsgi_allow_ips", LIST, ["127.0.0.1", "::1"], ("--uwsgi-allow-from",),
                why="it belongs to the uwsgi protocol, which Onebox does not speak"),
        Setting("raw_paste_global_conf", LIST, [], ("--paste-global",),
                why="it belongs to Paste Deploy, which Onebox does not read"),
        Setting("permit_obsolete_folding", BOOL, False, ("--permit-obsolete-folding",),
                why=_STRICT),
        Setting("strip_header_spaces", BOOL, False, ("--strip-header-spaces",), why=_STRICT),
        Setting("permit_unconventional_http_method", BOOL, False,
                ("--permit-unconventional-http-method",), why=_STRICT),
        Setting("permit_unconventional_http_version", BOOL, False,
                ("--permit-unconventional-http-version",), why=_STRICT),
        Setting("casefold_http_method", BOOL, False, ("--casefold-http-method",), why=_STRICT),
        Setting("forwarder_headers", LIST, ["SCRIPT_NAME", "PATH_INFO"], ("--forwarder-headers",),
                why="no field of a request sets SCRIPT_NAME or PATH_INFO"),
        Setting("header_map", TEXT, "drop", ("--header-map",),
                why="a field with an underscore in its name never reaches the app"),
        Setting("root_path", TEXT, "", ("--root-path",),
                why="SCRIPT_NAME is empty in this release"),
    )),
    Section("Logging", (
        Setting("accesslog", TEXT, None, ("--access-logfile",), MAPPED, "log.access",
                "the front writes it, the static files' requests too"),
        Setting("disable_redirect_access_to_syslog", BOOL, False,
                ("--disable-redirect-access-to-syslog",), why=_JOURNAL),
        Setting("access_log_format", TEXT, ACCESS_FORMAT, ("--access-logformat",), MAPPED,
                "log.access_format",
                "the same atoms; %({NAME}e)s is - but of what the request itself says, because the "
                "front does not know the app's environ"),
        Setting("errorlog", TEXT, "-", ("--error-logfile", "--log-file"), MAPPED, "log.error",
                "what the app prints goes there too"),
        Setting("loglevel", TEXT, "info", ("--log-level",), MAPPED, "log.level",
                "critical is error here; it is the level of server.log too"),
        Setting("capture_output", BOOL, False, ("--capture-output",),
                why="what the app prints always goes to the error log"),
        Setting("logger_class", ANY, "gunicorn.glogging.Logger", ("--logger-class",), MAPPED, "",
                "it is server.log in the hooks, where it can be made; the access log is the "
                "front's, and its access() is never called"),
        Setting("logconfig", TEXT, None, ("--log-config",), MAPPED, "",
                "applied in the zygote, so each worker has it; gunicorn.error is server.log, and "
                "nothing is written to gunicorn.access"),
        Setting("logconfig_dict", DICT, {}, (), MAPPED, "",
                "applied in the zygote, over Gunicorn's names, so each worker has it; nothing is "
                "written to gunicorn.access"),
        Setting("logconfig_json", TEXT, None, ("--log-config-json",), MAPPED, "",
                "applied in the zygote, so each worker has it; nothing is written to "
                "gunicorn.access"),
        Setting("syslog_addr", TEXT, "udp://localhost:514", ("--log-syslog-to",), why=_JOURNAL),
        Setting("syslog", BOOL, False, ("--log-syslog",), why=_JOURNAL),
        Setting("syslog_prefix", TEXT, None, ("--log-syslog-prefix",), why=_JOURNAL),
        Setting("syslog_facility", TEXT, "user", ("--log-syslog-facility",), why=_JOURNAL),
        Setting("enable_stdio_inheritance", BOOL, False, ("-R", "--enable-stdio-inheritance"),
                why="what the app prints always goes to the error log"),
        Setting("statsd_host", TEXT, None, ("--statsd-host",), why=_METRICS),
        Setting("dogstatsd_tags", TEXT, "", ("--dogstatsd-tags",), why=_METRICS),
        Setting("statsd_prefix", TEXT, "", ("--statsd-prefix",), why=_METRICS),
        Setting("enable_backlog_metric", BOOL, False, ("--enable-backlog-metric",), why=_METRICS),
    )),
    Section("Server hooks", (
        Setting("on_starting", HOOK, parameters=1, verdict=MAPPED,
                why="in the zygote, before it forks the first worker; a reload makes another zygote, "
                    "and it runs there too"),
        Setting("on_reload", HOOK, parameters=1, verdict=MAPPED,
                why="in the zygote that serves, when a reload has read the settings; it is this "
                    "zygote's own function, not that of the changed file"),
        Setting("when_ready", HOOK, parameters=1, verdict=MAPPED,
                why="in the zygote, when the sockets listen, before it forks the first worker; in that "
                    "of a reload when it has taken over and the generation before has gone"),
        Setting("pre_fork", HOOK, parameters=2, verdict=HONOURED,
                why="in the zygote, before each fork"),
        Setting("post_fork", HOOK, parameters=2, verdict=HONOURED,
                why="in the worker, before the app is imported"),
        Setting("post_worker_init", HOOK, parameters=1, verdict=HONOURED,
                why="in the worker, when the app is imported"),
        Setting("worker_int", HOOK, parameters=1, verdict=HONOURED,
                why="in a worker that gets SIGINT; Onebox itself sends SIGTERM"),
        Setting("worker_abort", HOOK, parameters=1, verdict=MAPPED,
                why="in a worker that gets SIGABRT, which Onebox never sends: it ends a stuck "
                    "worker with SIGKILL"),
        Setting("pre_exec", HOOK, parameters=1, verdict=MAPPED,
                why="in the zygote, when onebox upgrade replaces the program; not waited for, and "
                    "without a say in the new program's environment"),
        Setting("pre_request", HOOK, parameters=2, verdict=HONOURED,
                why="in the worker's thread, before the app; the body is read already"),
        Setting("post_request", HOOK, parameters=4, verdict=HONOURED,
                why="in the worker's thread, after the response; a wsgi.file_wrapper is then read "
                    "by the worker"),
        Setting("child_exit", HOOK, parameters=2, verdict=HONOURED,
                why="in the zygote, when a worker has ended, also one that was killed"),
        Setting("worker_exit", HOOK, parameters=2, verdict=HONOURED,
                why="in the worker, when its requests have ended; not in one that was killed"),
        Setting("nworkers_changed", HOOK, parameters=3, verdict=HONOURED,
                why="in the zygote, with None as the old number when it starts"),
        Setting("on_exit", HOOK, parameters=1, verdict=HONOURED,
                why="in the zygote, when the box ends and its last worker has; not at a reload or an "
                    "upgrade"),
        Setting("ssl_context", HOOK, parameters=2, why=_TLS_ELSEWHERE),
    )),
    Section("TLS", (
        Setting("keyfile", TEXT, None, ("--keyfile",), REFUSED, "", _OUR_TLS),
        Setting("certfile", TEXT, None, ("--certfile",), REFUSED, "", _OUR_TLS),
        Setting("ssl_version", ANY, 2, ("--ssl-version",), why=_TLS_ELSEWHERE),
        Setting("cert_reqs", ANY, 0, ("--cert-reqs",), why=_TLS_ELSEWHERE),
        Setting("ca_certs", TEXT, None, ("--ca-certs",), why=_TLS_ELSEWHERE),
        Setting("suppress_ragged_eofs", BOOL, True, ("--suppress-ragged-eofs",), why=_TLS_ELSEWHERE),
        Setting("do_handshake_on_connect", BOOL, False, ("--do-handshake-on-connect",),
                why=_TLS_ELSEWHERE),
        Setting("ciphers", TEXT, None, ("--ciphers",), why=_TLS_ELSEWHERE),
    )),
    Section("HTTP/2", (
        Setting("http_protocols", ANY, "h1", ("--http-protocols",), why=_OUR_HTTP2),
        Setting("http2_cleartext", BOOL, False, ("--http2-cleartext",), why=_OUR_HTTP2),
        Setting("http2_max_concurrent_streams", INTEGER, 100, ("--http2-max-concurrent-streams",),
                why=_OUR_HTTP2),
        Setting("http2_initial_window_size", INTEGER, 65535, ("--http2-initial-window-size",),
                why=_OUR_HTTP2),
        Setting("http2_max_frame_size", INTEGER, 16384, ("--http2-max-frame-size",),
                why=_OUR_HTTP2),
        Setting("http2_max_header_list_size", INTEGER, 65536, ("--http2-max-header-list-size",),
                why=_OUR_HTTP2),
    )),
    Section("Debugging", (
        Setting("reload", BOOL, False, ("--reload",), MAPPED, "app.watch",
                "the files of chdir are watched, not those of modules elsewhere; what an app that "
                "cannot be loaded has said is shown to clients, as with Gunicorn"),
        Setting("reload_engine", TEXT, "auto", ("--reload-engine",),
                why="the kernel tells which files have changed (inotify)"),
        Setting("reload_extra_files", LIST, [], ("--reload-extra-file",), MAPPED,
                "app.watch_files", "with reload, watched too"),
        Setting("spew", BOOL, False, ("--spew",),
                why="python -X importtime and faulthandler show more and cost less"),
        Setting("check_config", BOOL, False, ("--check-config",),
                why="say it on the line: onebox run --check-config"),
        Setting("print_config", BOOL, False, ("--print-config",),
                why="say it on the line: onebox run --print-config"),
    )),
    Section("Names, configuration, control", (
        Setting("proc_name", TEXT, None, ("-n", "--name"),
                why="processes keep their command line, which says which is which; so does "
                    "onebox status"),
        Setting("default_proc_name", TEXT, "gunicorn", why="as proc_name"),
        Setting("config", TEXT, "./gunicorn.conf.py", ("-c", "--config"),
                why="-c on Onebox's line names the file"),
        Setting("wsgi_app", TEXT, None, (), MAPPED, "app.target",
                "module alone is module:application, as with Gunicorn"),
        Setting("control_socket", TEXT, "gunicorn.ctl", ("--control-socket",), why=_STATUS),
        Setting("control_socket_mode", ANY, 0o600, ("--control-socket-mode",), why=_STATUS),
        Setting("control_socket_disable", BOOL, False, ("--no-control-socket",), why=_STATUS),
    )),
    Section("Dirty workers", (
        Setting("dirty_apps", LIST, [], ("--dirty-app",), why=_NO_DIRTY),
        Setting("dirty_workers", INTEGER, 0, ("--dirty-workers",), why=_NO_DIRTY),
        Setting("dirty_timeout", INTEGER, 300, ("--dirty-timeout",), why=_NO_DIRTY),
        Setting("dirty_threads", INTEGER, 1, ("--dirty-threads",), why=_NO_DIRTY),
        Setting("dirty_graceful_timeout", INTEGER, 30, ("--dirty-graceful-timeout",),
                why=_NO_DIRTY),
        Setting("on_dirty_starting", HOOK, parameters=1, why=_NO_DIRTY),
        Setting("dirty_post_fork", HOOK, parameters=2, why=_NO_DIRTY),
        Setting("dirty_worker_init", HOOK, parameters=1, why=_NO_DIRTY),
        Setting("dirty_worker_exit", HOOK, parameters=2, why=_NO_DIRTY),
    )),
    Section("Of older Gunicorns", (
        Setting("tolerate_dangerous_framing", BOOL, False, ("--tolerate-dangerous-framing",),
                why=_STRICT),
    )),
)

SETTINGS = {setting.name: setting for section in SECTIONS for setting in section.settings}
