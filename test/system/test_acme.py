"""Does a box obtain certificates, and renew them, whatever becomes of the authority and of itself?"""
import contextlib
import json
import subprocess

import pytest

from clients import reload
from onebox import BINARY, onebox
from pebble import Answerer, Between, Pebble, kill
from wire import until

NAME = "game.example"


class Keeping:
    """A server that obtains certificates, and the folder that they are in."""

    def __init__(self, server, folder):
        self.server = server
        self.folder = folder

    def status(self, name=NAME):
        return next(one for one in self.server.status()["certificates"] if one["name"] == name)

    def trusted(self, name=NAME):
        certificate = self.status(name)["certificate"]
        return certificate and not certificate["placeholder"]

    def wait_until_trusted(self, name=NAME):
        until(lambda: self.trusted(name), f"{name} has a certificate", 60)

    def chain(self, name=NAME):
        return self.folder / "certificates" / name / "fullchain.pem"

    def renew(self, name=NAME):
        """`onebox certificates renew NAME`, whatever comes of it."""
        return subprocess.run([BINARY, "certificates", "--state", self.server.state, "renew", name],
                              capture_output=True, text=True, timeout=60)

    def files(self):
        return {str(path.relative_to(self.folder)): oct(path.stat().st_mode & 0o777)
                for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def answerer():
    with contextlib.closing(Answerer()) as one:
        yield one


@pytest.fixture
def authority(tmp_path_factory, answerer):
    """authority(**options): a pebble that looks at the answerer's ports."""
    with contextlib.ExitStack() as pebbles:
        yield lambda **options: pebbles.enter_context(
            Pebble(tmp_path_factory.mktemp("pebble"), http=answerer.http, tls=answerer.tls, **options))


@pytest.fixture
def keeping(serve, answerer, tmp_path):
    """keeping(toml): a box with these options, and those of serve(), whose challenges are answered."""
    def start(toml, **options):
        answerer.folder = tmp_path / "data/acme"
        return Keeping(serve("hello_flask:app", toml=toml, arguments=["--data", tmp_path / "data"],
                             **options), answerer.folder)
    return start


def subject_of(chain, *questions):
    return subprocess.run(["openssl", "x509", "-in", chain, "-noout", *questions],
                          capture_output=True, text=True, check=True).stdout


def assert_trusted(pebble, chain, name=NAME):
    """As a client sees it that trusts the authority alone."""
    root = pebble.folder / "root.pem"
    root.write_text(pebble.root())
    subprocess.run(["openssl", "verify", "-CAfile", root, "-untrusted", chain, "-verify_hostname",
                    name, chain], check=True, capture_output=True)


@pytest.mark.parametrize("challenge, key, says", [
    ("http-01", "ecdsa", "id-ecPublicKey"), ("tls-alpn-01", "rsa", "rsaEncryption")])
def test_a_name_gets_a_certificate_from_nothing(authority, keeping, challenge, key, says):
    pebble = authority()
    box = keeping(pebble.options(NAME, auto_challenge=challenge, auto_key=key,
                                 auto_email="ops@game.example"))
    box.wait_until_trusted()
    assert_trusted(pebble, box.chain())
    assert says in subject_of(box.chain(), "-text")
    assert box.files() == {
        name: "0o600" for name in ("account.pem", f"certificates/{NAME}/fullchain.pem",
                                   f"certificates/{NAME}/key.pem", f"state/{NAME}.json")
    } | {"lock": "0o640"}, "what answered the challenge has gone"
    assert NAME in box.server.tell("certificates").stdout
    assert f"tls       {NAME}: a certificate of Pebble" in box.server.tell("status").stdout
    metric = f'{{name="{NAME}"}}'
    until(lambda: box.server.metrics().get(f"onebox_acme_certificate{metric}") == 1, "it is counted")
    assert box.server.metrics()[f"onebox_acme_failures{metric}"] == 0


def test_a_placeholder_is_there_before_the_authority_has_answered(authority, keeping):
    pebble = authority()
    pebble.stop()
    box = keeping(pebble.options(NAME))
    until(lambda: box.chain().exists(), "something to start TLS with")
    assert "Onebox placeholder" in subject_of(box.chain(), "-issuer")
    until(lambda: box.status()["failures"] == 1, "it has tried")
    assert box.status()["error_kind"] == "noAnswer"
    assert "the next attempt at" in box.server.tell("status").stdout
    pebble.start()
    assert box.renew().returncode == 0
    assert_trusted(pebble, box.chain())


def test_short_lives_are_renewed_again_and_again(authority, keeping):
    box = keeping(authority(lifetime=6).options(NAME))
    serials = set()

    def renewed():
        if box.trusted():
            serials.add(subject_of(box.chain(), "-serial"))
        return len(serials) == 3
    until(renewed, "three certificates one after the other", 90)


def test_a_refusal_is_shown_and_what_is_there_serves_on(authority, keeping, answerer):
    box = keeping(authority().options(NAME, auto_challenge="http-01"))
    box.wait_until_trusted()
    before = box.chain().read_text()
    answerer.refuses = True
    refused = box.renew()
    assert refused.returncode == 1
    assert "http-01 of game.example was not accepted" in refused.stderr
    assert box.status()["failures"] == 1 and box.status()["error_kind"] == "unauthorized"
    assert box.chain().read_text() == before
    assert "the one before serves on" in box.server.wait_for_line(f"no certificate for {NAME}")
    until(lambda: box.server.metrics().get(
        f'onebox_acme_last_error{{name="{NAME}",error="unauthorized"}}') == 1, "it is counted")
    answerer.refuses = False
    renewed = box.renew()
    assert renewed.returncode == 0, renewed.stderr
    assert box.chain().read_text() != before
    assert box.status()["failures"] == 0


def test_the_other_way_is_tried_where_one_fails(authority, keeping, answerer):
    """http-01 finds nobody: port 80 is another's."""
    pebble = authority()
    answerer.server.shutdown()
    answerer.server.server_close()
    box = keeping(pebble.options(NAME), listen=("127.0.0.1:0", "https://127.0.0.1:0"))
    until(lambda: box.status()["failures"] == 1, "http-01 has failed", 60)
    assert box.renew().returncode == 0
    assert_trusted(pebble, box.chain())


@pytest.mark.once
def test_nothing_is_lost_where_it_is_killed(authority, keeping):
    """Within each kind of question, when the authority has acted on it and before we know."""
    left = set()

    def after(path):
        kind = path.split("/")[1]
        if kind not in left:
            return False
        left.remove(kind)
        for pid in box.server.pids("acme"):
            kill(pid)
        return True
    pebble = authority()
    with contextlib.closing(Between(pebble, after)) as between:
        box = keeping(pebble.options(NAME, directory=between.directory))
        box.wait_until_trusted()
        first, account = box.chain().read_text(), (box.folder / "account.pem").read_text()
        between.asked.clear()
        left |= {"dir", "nonce-plz", "sign-me-up", "order-plz", "authZ", "chalZ", "finalize-order",
                 "my-order", "certZ"}
        renewed = box.renew()
        assert renewed.returncode == 0, renewed.stderr
        assert not left
    assert box.chain().read_text() != first
    assert (box.folder / "account.pem").read_text() == account
    assert_trusted(pebble, box.chain())
    finalized = {path for path in between.asked if path.startswith("/finalize-order")}
    assert len(finalized) == 1, "no certificate was issued that nobody has"
    assert not list(box.folder.glob("orders/*"))


def test_an_authority_that_has_forgotten_us_is_told_anew(authority, keeping):
    pebble = authority(refused_nonces=30)
    box = keeping(pebble.options(NAME))
    box.wait_until_trusted()
    pebble.stop()
    pebble.start()
    renewed = box.renew()
    assert renewed.returncode == 0, renewed.stderr
    assert_trusted(pebble, box.chain())


def test_an_account_is_bound_where_the_authority_wants_it(authority, keeping):
    hmac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    pebble = authority(external={"kid-1": hmac})
    box = keeping(pebble.options(NAME))
    until(lambda: box.status()["failures"], "it is refused")
    assert box.status()["error_kind"] == "externalAccountRequired"
    config = box.server.folder / "onebox.toml"
    config.write_text(pebble.options(NAME, auto_eab_kid="kid-1", auto_eab_hmac=hmac))
    reload(box.server)
    until(lambda: box.renew().returncode == 0, "the process of these settings takes it up")
    assert_trusted(pebble, box.chain())


def test_a_reload_follows_the_names(authority, keeping):
    pebble = authority()
    box = keeping(pebble.options(NAME))
    box.wait_until_trusted()
    first = box.chain().read_text()
    config = box.server.folder / "onebox.toml"
    config.write_text(pebble.options(NAME, "www.game.example"))
    reload(box.server)
    until(lambda: len(box.server.status()["certificates"]) == 2, "it is told of both")
    box.wait_until_trusted("www.game.example")
    assert box.chain().read_text() == first, "what holds is not asked for again"
    config.write_text("")
    reload(box.server)
    until(lambda: not box.server.pids("acme"), "nobody obtains any")
    assert box.server.status()["certificates"] == []
    assert box.renew().returncode == 1


def test_two_boxes_with_one_folder_do_not_meet(authority, keeping):
    pebble = authority()
    first = keeping(pebble.options(NAME))
    first.wait_until_trusted()
    second = keeping(pebble.options(NAME))
    second.server.wait_for_line("waiting for who obtains certificates")
    assert second.server.status()["certificates"] == []
    first.server.stop()
    second.wait_until_trusted()


@pytest.mark.parametrize("option, says", [
    ('auto = ["*.game.example"]', "a wildcard needs a challenge by DNS"),
    ('auto = ["Game.example", "game.example."]', "game.example is there twice"),
    ('auto_directory = "http://ca.example"', "begins with https://"),
    ('auto_email = "ops"', "expected an address of mail"),
    ('auto_eab_kid = "kid-1"', "go together"),
    ('auto_ca = "gone.pem"', "gone.pem"),
])
def test_mistakes_are_told_before_anything_is_asked(tmp_path, option, says):
    (tmp_path / "onebox.toml").write_text(f"[tls]\n{option}\n")
    checked = onebox("run", "hello_flask:app", "--check-config", cwd=tmp_path)
    assert checked.returncode == 2
    assert says in checked.stderr


def test_what_is_shown_is_json_too(authority, keeping):
    box = keeping(authority().options(NAME))
    box.wait_until_trusted()
    shown = json.loads(box.server.tell("certificates", "--json").stdout)
    assert [one["name"] for one in shown] == [NAME]
    assert shown[0]["next_attempt"] < shown[0]["certificate"]["not_after"]
