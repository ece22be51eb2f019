"""Does https keep what it promises: who is shown what, who may come in, and what a reload keeps?"""
import json
import os
import socket
import ssl
import subprocess

import pytest

import certificates
from clients import reload
from onebox import onebox
from wire import Connection, until

HTTPS = "https://127.0.0.1:0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def own(folder):
    """localhost's certificate, of an authority that signs all others here."""
    return certificates.issue(folder)


@pytest.fixture
def secure(serve, own):
    """secure(target, **options): a server that speaks https, and its clients' trust."""
    def start(target="seen:app", *, listen=(HTTPS,), arguments=(), pairs=None, **options):
        words = [word for pair in (pairs or [own]) for word in pair.arguments]
        return serve(target, listen=listen, arguments=(*words, *arguments), tls=own.trusting(),
                     **options)
    return start


def seen(response):
    assert response.status == 200, response
    return json.loads(response.body)


def handshake(server, context, name="localhost"):
    """A session's facts, and what came for GET /: a ticket is there then."""
    with Connection(server.address, tls=context, name=name) as connection:
        answer = connection.get("/")
        return connection.socket, answer


def shown(server, own, name, **options):
    """The common name of the certificate that a client sees that asks for `name`."""
    context = own.trusting(check_hostname=False, **options)
    with Connection(server.address, tls=context, name=name) as connection:
        return dict(part[0] for part in connection.socket.getpeercert()["subject"])["commonName"]


# --- what is spoken ----------------------------------------------------------

def test_curl_gets_an_answer_and_the_app_knows_the_scheme(secure, own):
    server = secure()
    found = subprocess.run(["curl", "-sS", "--cacert", own.authority, "--resolve",
                            f"localhost:{server.address[1]}:127.0.0.1",
                            f"https://localhost:{server.address[1]}/a?b=c"],
                           capture_output=True, text=True, timeout=30, check=True)
    environ = json.loads(found.stdout)
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PORT"] == str(server.address[1])
    assert server.metrics()['onebox_handshakes_total{result="full"}'] == 1


@pytest.mark.parametrize("version, least, spoken", [
    (ssl.TLSVersion.TLSv1_3, "1.2", True), (ssl.TLSVersion.TLSv1_2, "1.2", True),
    (ssl.TLSVersion.TLSv1_2, "1.3", False)])
def test_versions_older_than_the_least_are_refused(secure, own, version, least, spoken):
    server = secure(toml=f'[tls]\nmin_version = "{least}"\n')
    context = own.trusting(minimum_version=ssl.TLSVersion.TLSv1_2, maximum_version=version)
    if spoken:
        connection, answer = handshake(server, context)
        assert answer.status == 200
    else:
        with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
            handshake(server, context)
        until(lambda: server.metrics().get('onebox_handshakes_total{result="version"}') == 1,
              "the failure is counted")


def test_http_1_1_is_what_alpn_agrees_on(secure, own):
    context = own.trusting()
    context.set_alpn_protocols(["acme-tls/2", "http/1.1"])
    server = secure()
    with Connection(server.address, tls=context) as connection:
        assert connection.socket.selected_alpn_protocol() == "http/1.1"
    context.set_alpn_protocols(["smtp"])
    with pytest.raises(ssl.SSLError):
        Connection(server.address, tls=context)


def test_plain_http_on_an_https_address_is_told_so(secure):
    server = secure()
    with Connection(server.address) as connection:
        answer = connection.get("/")
        assert answer.status == 400 and b"https" in answer.body
        assert connection.is_closed()


# --- who is shown what -------------------------------------------------------

def test_each_name_has_its_certificate_and_the_first_is_for_the_others(secure, own, folder):
    shop = certificates.issue(folder, "shop.example", authority=own)
    play = certificates.issue(folder, "*.play.example", authority=own)
    server = secure(pairs=[own, shop, play])
    assert [shown(server, own, name) for name in (
        "localhost", "shop.example", "one.play.example", "a.b.play.example", "nobody.example")] \
        == ["localhost", "shop.example", "*.play.example", "localhost", "localhost"]


def test_one_name_may_have_an_ecdsa_and_an_rsa_certificate(secure, own, folder):
    rsa = certificates.issue(folder, "localhost", "127.0.0.1", authority=own, kind="rsa", stem="rsa")
    server = secure(pairs=[own, rsa])
    context = own.trusting(maximum_version=ssl.TLSVersion.TLSv1_2)
    kinds = {}
    for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
                   "DHE-RSA-AES128-GCM-SHA256"):
        context.set_ciphers(cipher)
        connection, answer = handshake(server, context)
        kinds[cipher] = answer.status
    assert set(kinds.values()) == {200}


# --- going on ----------------------------------------------------------------

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_goes_on_with_another_reactor_and_after_a_reload(secure, own, folder, version):
    chain = folder / f"copy-{version.name}.pem"
    chain.write_bytes(own.chain.read_bytes())
    pair = certificates.Issued(chain, own.key, own.authority, own.authority_key)
    server = secure(pairs=[pair], toml="[front]\nreactors = 2\n")
    context = own.trusting(minimum_version=ssl.TLSVersion.TLSv1_2, maximum_version=version)

    def ticket():
        with Connection(server.address, tls=context) as connection:
            assert connection.get("/").status == 200
            return connection.socket.session

    def resumed(session):
        raw = socket.create_connection(server.address, timeout=20)
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
            return connection.session_reused

    session = ticket()
    assert all(resumed(session) for _ in range(4))  # the reactors take turns
    # A front of its own, since what it is told has changed.
    chain.write_bytes(own.chain.read_bytes() + b"\n")
    assert reload(server).returncode == 0
    assert resumed(session)
    assert server.metrics()['onebox_handshakes_total{result="resumed"}'] >= 5


def test_without_tickets_no_session_goes_on(secure, own):
    server = secure(toml="[tls]\ntickets = false\n")
    connection, _ = handshake(server, own.trusting(maximum_version=ssl.TLSVersion.TLSv1_2))
    assert connection.session is None or not connection.session.has_ticket


# --- files that change -------------------------------------------------------

def test_a_changed_certificate_is_shown_without_a_reload_and_a_bad_one_is_not(secure, own, folder):
    pair = certificates.issue(folder, "localhost", authority=own, stem="changing")
    server = secure(pairs=[pair])
    before = pair.key.read_bytes()
    front = server.pids("front")
    with server.connect() as old:
        assert old.get("/").status == 200
        pair.key.write_text("no key")
        server.wait_for_line(r"has changed and is not used: no private key.*the one before serves on")
        assert shown(server, own, "localhost") == "localhost"
        pair.key.write_bytes(before)
        other = certificates.issue(folder, "later.example", "localhost", authority=own)
        pair.key.write_bytes(other.key.read_bytes())
        pair.chain.write_bytes(other.chain.read_bytes())
        until(lambda: shown(server, own, "localhost") == "later.example", "the new one is shown")
        assert old.get("/").status == 200  # who is there stays
    assert server.pids("front") == front


def test_reload_keeps_the_certificate_of_before_where_the_new_one_is_bad(secure, own, folder):
    pair = certificates.issue(folder, "localhost", authority=own, stem="broken")
    server = secure(pairs=[pair])
    pair.chain.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    result = reload(server)
    assert result.returncode != 0 and "a certificate cannot be read" in result.stdout + result.stderr
    assert shown(server, own, "localhost") == "localhost"


def test_the_end_of_a_certificate_is_a_metric_and_a_warning(secure, own, folder):
    soon = certificates.issue(folder, "soon.example", authority=own, days=5)
    server = secure(pairs=[own, soon])
    server.wait_for_line(r"the certificate for soon\.example is valid for 4 more days")
    ends = {key: value for key, value in server.metrics().items()
            if key.startswith("onebox_certificate_not_after_seconds")}
    assert len(ends) == 2 and any("soon.example" in key for key in ends)


def test_what_the_authority_says_is_sent_where_it_is_good_and_of_this_certificate(secure, own, folder):
    pairs = {name: certificates.issue(folder, f"{name}.example", authority=own)
             for name in ("good", "revoked", "stranger")}
    staples = [certificates.respond(pairs["good"]), certificates.respond(pairs["revoked"], "R"),
               certificates.respond(own)]
    server = secure(pairs=list(pairs.values()), toml=f"[tls]\nstaple = {json.dumps([str(one) for one in staples])}\n")

    def sent(name):
        return certificates.openssl("s_client", "-connect", f"127.0.0.1:{server.address[1]}", "-servername",
                                    f"{name}.example", "-CAfile", own.authority, "-status")

    assert "Cert Status: good" in sent("good")
    for name, why in (("revoked", "revoked"), ("stranger", "about another certificate")):
        assert "OCSP response: no response sent" in sent(name)
        server.wait_for_line(rf"OCSP response \S+ is not sent: .*{why}")


# --- what a box with certificates is told ------------------------------------

@pytest.mark.parametrize("change, said", [
    (lambda words, folder: words[:2], "expected one for each of tls.cert"),
    (lambda words, folder: [], "needs a certificate"),
    (lambda words, folder: [words[0], folder / "none.pem", *words[2:]], "none.pem"),
    (lambda words, folder: [*words[:2], words[2], words[1]], "no private key in PEM form"),
])
def test_check_config_looks_into_the_files(own, tmp_path, change, said):
    words = change(list(own.arguments), tmp_path)
    found = onebox("run", "seen:app", "--check-config", "--listen", HTTPS, *words, cwd=tmp_path)
    assert found.returncode == 2 and said in found.stdout + found.stderr


# --- clients with certificates -----------------------------------------------

@pytest.mark.parametrize("asked", ["request", "require"])
def test_the_app_learns_who_the_client_is(secure, own, folder, asked):
    server = secure(toml=f'[tls]\nclient_certs = "{asked}"\nclient_ca = "{own.authority}"\n')
    operator = certificates.issue(folder, "operator", authority=own)
    known = own.trusting()
    known.load_cert_chain(operator.chain, operator.key)
    with Connection(server.address, tls=known) as connection:
        environ = seen(connection.get("/", "SSL-CLIENT-S-DN: CN=root", "SSL_CLIENT_S_DN: CN=root"))
    assert environ["SSL_CLIENT_S_DN"] == "CN=operator"
    assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"

    stranger = certificates.issue(folder, "stranger")
    other = own.trusting()
    other.load_cert_chain(stranger.chain, stranger.key)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(server, other)

    if asked == "request":
        _, answer = handshake(server, own.trusting())
        assert "SSL_CLIENT_VERIFY" not in seen(answer)
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(server, own.trusting())


# --- slow and many -----------------------------------------------------------

def test_who_is_slow_with_the_handshake_is_closed_and_hinders_nobody(secure, own):
    server = secure(toml='[tls]\nhandshake_timeout = "1s"\n')
    silent = [socket.create_connection(server.address, timeout=20) for _ in range(50)]
    for one in silent:
        one.sendall(b"\x16\x03\x01\x02\x00\x01")  # the begin of a hello
    _, answer = handshake(server, own.trusting())
    assert answer.status == 200
    for one in silent:
        assert one.recv(1) == b""
        one.close()
    assert server.metrics()['onebox_handshakes_total{result="too_slow"}'] == 50


# --- http beside https -------------------------------------------------------

def test_http_is_redirected_and_https_asks_to_be_remembered(secure, own):
    server = secure(listen=("127.0.0.1:0", HTTPS),
                    toml='[tls]\nredirect = true\nhsts = "180d"\n')
    port = server.address_of(server.urls[1])[1]
    answer = server.ask("POST", "/a%20b?c=d", "Host: game.example:80", body=b"x")
    assert answer.status == 308
    assert answer["Location"] == f"https://game.example:{port}/a%20b?c=d"
    assert answer["Strict-Transport-Security"] is None
    with Connection(server.address_of(server.urls[1]), tls=own.trusting()) as connection:
        answer = connection.get("/")
        assert answer["Strict-Transport-Security"] == "max-age=15552000"
    head = subprocess.run(["curl", "-sSk", "-D", "-", "-o", os.devnull, "--max-time", "30", server.urls[1]],
                          capture_output=True, text=True, check=True).stdout
    assert head.startswith("HTTP/2 200") and "strict-transport-security: max-age=15552000" in head


def test_proofs_and_certificates_of_an_authority_are_picked_up(secure, own, folder, tmp_path):
    data = tmp_path / "data"
    server = secure(listen=("127.0.0.1:0", HTTPS), arguments=("--data", data),
                    toml="[tls]\nredirect = true\n")
    https = server.address_of(server.urls[1])
    for part in ("http", "alpn", "certificates/new.example"):
        (data / "acme" / part).mkdir(parents=True, exist_ok=True)
    (data / "acme/http/to_ken-1").write_text("to_ken-1.thumbprint")
    answer = server.get("/.well-known/acme-challenge/to_ken-1")
    assert (answer.status, answer.body) == (200, b"to_ken-1.thumbprint")
    assert server.get("/.well-known/acme-challenge/..%2f..%2fx").status != 308

    proof = certificates.issue(folder, "proof", stem="proof")
    (data / "acme/alpn/new.example.pem").write_bytes(proof.chain.read_bytes() + proof.key.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["acme-tls/1"])
    with context.wrap_socket(socket.create_connection(https, timeout=20),
                             server_hostname="new.example") as connection:
        assert connection.selected_alpn_protocol() == "acme-tls/1"
        found = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
        assert found.strip() in proof.chain.read_text()

    new = certificates.issue(folder, "new.example", authority=own)
    (data / "acme/certificates/new.example/fullchain.pem").write_bytes(new.chain.read_bytes())
    (data / "acme/certificates/new.example/key.pem").write_bytes(new.key.read_bytes())

    def common_name():
        with Connection(https, tls=own.trusting(check_hostname=False),
                        name="new.example") as connection:
            subject = connection.socket.getpeercert()["subject"]
        return dict(part[0] for part in subject)["commonName"]
    until(lambda: common_name() == "new.example", "the certificate is picked up")


# --- bytes -------------------------------------------------------------------

def test_large_answers_and_files_are_whole_for_a_client_that_is_slow(secure, own, tmp_path):
    content = os.urandom(1 << 20) * 5
    (tmp_path / "large.bin").write_bytes(content)
    (tmp_path / "small.txt").write_bytes(b"small")
    server = secure(arguments=("--static", f"/files/={tmp_path}"))
    with server.connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        for _ in range(2):
            assert connection.get("/files/large.bin").body == content
            assert connection.get("/files/small.txt").body == b"small"
        part = connection.get("/files/large.bin", "Range: bytes=70000-3000000")
        assert part.body == content[70000:3000001]
        posted = seen(connection.request("POST", "/", body=content[:3_000_000]).response())
        assert posted["body_bytes"] == 3_000_000


def test_openssls_own_client_is_content(secure, own):
    server = secure()
    found = subprocess.run(
        ["openssl", "s_client", "-connect", "{}:{}".format(*server.address), "-servername", "localhost",
         "-CAfile", own.authority, "-verify_return_error", "-quiet", "-alpn", "http/1.1"],
        input=b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", capture_output=True,
        timeout=30)
    assert found.stdout.startswith(b"HTTP/1.1 200"), found
