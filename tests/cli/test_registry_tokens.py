"""docker-registry with a token server of our own: real tokens, which really expire."""

import base64
import datetime
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback_server import QuietHandler, listening
from oci_registry import BASIC
from real_registry import log_in, shared
from terminal import run

from ollama_pack.registry import uploads

pytest.importorskip("oras", reason="the extra `oci` is not installed")
x509 = pytest.importorskip("cryptography.x509", reason="NOT TESTED: cryptography is not installed")

LEEWAY = 60
"""Seconds after its end for which distribution still takes a token."""


def text_of(content: bytes) -> str:
    """Return bytes as a token has them."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class TokenServer(QuietHandler):
    """Gives a token for what is asked, if the password is right."""

    key: object
    certificate: bytes
    asked: list
    seconds: list

    def do_GET(self) -> None:
        """Answer one request."""
        query = parse_qs(urlsplit(self.path).query)
        self.asked.append(query.get("scope", [""])[0])
        if self.headers.get("Authorization") != f"Basic {BASIC}":
            return self.send(401, b"{}")
        return self.send(200, json.dumps({"token": self.token(query)}).encode())

    def token(self, query: dict[str, list[str]]) -> str:
        """Return a signed token."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        scopes = [scope.rsplit(":", 1) for text in query.get("scope", []) for scope in text.split(" ")]
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for (kind, name), actions in ((left.split(":", 1), right) for left, right in scopes)
        ]
        now = int(time.time())
        claims = {"iss": "issuer", "aud": query["service"][0], "sub": "ada", "jti": str(len(self.asked))}
        times = {"iat": now - 300, "nbf": now - 300, "exp": now - LEEWAY + self.seconds[0]}
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(self.certificate).decode()]}
        parts = [
            text_of(json.dumps(each).encode()) for each in (header, {**claims, **times, "access": access})
        ]
        signed = self.key.sign(".".join(parts).encode(), ec.ECDSA(hashes.SHA256()))
        numbers = b"".join(each.to_bytes(32, "big") for each in utils.decode_dss_signature(signed))
        return ".".join((*parts, text_of(numbers)))

    def send(self, status: int, content: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def guarded(distribution, tmp_path, alone):
    """Return the host of a registry that wants tokens, what was asked for, and how long a token counts."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made = built.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    (tmp_path / "issuer.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    fields = {"key": key, "certificate": made.public_bytes(serialization.Encoding.DER)}
    asked, seconds = [], [600]
    with listening(TokenServer, **fields, asked=asked, seconds=seconds) as server:
        realm = f"http://127.0.0.1:{server.server_port}/token"
        options = (
            f"realm: '{realm}', service: registry, issuer: issuer, rootcertbundle: {tmp_path}/issuer.pem"
        )
        host = distribution(f"auth: {{token: {{{options}}}}}")
        log_in(alone, host)
        yield host, asked, seconds


@pytest.fixture
def _any_realm(monkeypatch):
    """Let the token server have a port of its own, which only one with TLS may have elsewhere."""
    monkeypatch.setattr("ollama_pack.registry.remote.is_safe_realm", lambda *_: True)


@pytest.mark.usefixtures("_any_realm")
def test_a_token_that_expires_while_a_file_is_sent(pushable, guarded, tmp_path, monkeypatch):
    """The registry refuses the token in the middle of a file; another is got, and the file arrives whole."""
    host, asked, seconds = guarded
    seconds[0] = 2
    keep, waits = uploads.keep_upload, [1]

    def slow(*words):
        keep(*words)
        if waits:
            time.sleep(2.5 + waits.pop())

    monkeypatch.setattr(uploads, "BLOB_CHUNK", 4000)
    monkeypatch.setattr(uploads, "keep_upload", slow)
    place = f"oci://{host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    assert len(asked) >= 2
    seconds[0] = 600
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


@pytest.mark.usefixtures("_any_realm")
def test_a_mount_asks_for_both_repositories(pushable, guarded):
    """A token for two repositories is asked for, and the base is mounted with it."""
    host, asked, _ = guarded
    assert run("push", pushable, f"oci://{host}/team/ada:1", "--with-base").code == 0
    mounted = ("--with-base", "--mount", "team/ada")
    ran = run("push", pushable, f"oci://{host}/team/grace:1", *mounted, "--json")
    assert ran.code == 0, ran.stderr
    assert ran.document["bytes_sent"] == 0
    assert any("team/ada:pull" in scope and "team/grace:" in scope for scope in asked)


def test_a_token_server_without_tls_elsewhere(pushable, guarded):
    """The password does not go to another port of this machine without TLS."""
    host, asked, _ = guarded
    ran = run("push", pushable, f"oci://{host}/team/ada:1")
    assert (ran.code, "without TLS" in ran.stderr, asked) == (6, True, [])


@pytest.mark.usefixtures("_any_realm")
def test_a_plan_asks_for_tokens_that_read(pushable, guarded):
    """A plan needs no right to write: it asks to pull, also from where a base would be mounted."""
    host, asked, _ = guarded
    assert run("push", pushable, f"oci://{host}/team/ada:1", "--with-base").code == 0
    asked.clear()
    words = (pushable, f"oci://{host}/team/grace:1", "--with-base", "--mount", "team/ada")
    planned = run("push", *words, "--dry-run", "--json").document
    assert {each["state"] for each in planned["blobs"]} == {"mount"}
    assert set(asked) == {"repository:team/grace:pull", "repository:team/ada:pull"}
    assert run("push", *words, "--json").document["bytes_sent"] == planned["bytes"] == 0
