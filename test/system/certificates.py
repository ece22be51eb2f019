"""Certificates for servers and clients of the tests, made by openssl."""
import dataclasses
import ssl
import subprocess
from pathlib import Path

KEYS = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}


@dataclasses.dataclass
class Issued:
    chain: Path
    key: Path
    authority: Path  # whom to trust
    authority_key: Path

    @property
    def arguments(self):
        return "--tls-cert", str(self.chain), "--tls-key", str(self.key)

    def trusting(self, **options):
        """What a client needs that trusts its authority; as keywords what is set on it."""
        context = ssl.create_default_context(cafile=self.authority)
        for name, value in options.items():
            setattr(context, name, value)
        return context

    def fingerprint(self):
        return openssl("x509", "-in", self.chain, "-noout", "-fingerprint", "-sha256").strip()


def openssl(*arguments):
    """What it prints."""
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=60).stdout


def issue(folder, *names, authority=None, kind="ec", days=90, stem=None):
    """A certificate for the names (localhost and 127.0.0.1), of an authority of its own or that of another."""
    names = names or ("localhost", "127.0.0.1")
    stem = stem or names[0].replace("*", "any")
    if authority is None:
        ca, ca_key = folder / f"{stem}-ca.pem", folder / f"{stem}-ca-key.pem"
        openssl("req", "-x509", *KEYS["ec"], "-nodes", "-keyout", ca_key, "-out", ca, "-days", 90,
                "-subj", "/CN=Test CA", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
    else:
        ca, ca_key = authority.authority, authority.authority_key
    key, request, leaf = (folder / f"{stem}-{part}" for part in ("key.pem", "request.pem", "leaf.pem"))
    extensions = folder / f"{stem}.ext"
    extensions.write_text("subjectAltName=" + ",".join(
        f"{'IP' if name[0].isdigit() else 'DNS'}:{name}" for name in names) + "\n")
    openssl("req", *KEYS[kind], "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={names[0]}")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-days", days,
            "-extfile", extensions, "-out", leaf)
    chain = folder / f"{stem}-chain.pem"
    chain.write_text(leaf.read_text() + ca.read_text())
    return Issued(chain, key, ca, ca_key)


def respond(about, status="V"):
    """What the certificate's authority says of it to OCSP: V, that it is good, or R, that it is revoked. The file."""
    found = {name: about.chain.with_suffix(f".{status}.{name}") for name in ("index", "der")}
    serial = openssl("x509", "-in", about.chain, "-noout", "-serial").strip().partition("=")[2]
    revoked = "250101000000Z" if status == "R" else ""
    found["index"].write_text(f"{status}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN=x\n")
    openssl("ocsp", "-index", found["index"], "-CA", about.authority, "-rsigner", about.authority,
            "-rkey", about.authority_key, "-issuer", about.authority, "-cert", about.chain, "-ndays", 1,
            "-respout", found["der"])
    return found["der"]
