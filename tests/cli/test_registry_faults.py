"""What goes wrong with a registry ends a push or a pull with a clear word, and nothing half is anywhere."""

import datetime
import errno
import ipaddress
import itertools
import json
import os
import stat
import sys

import pytest
from oci_registry import PASSWORD, USER, stand_in_registry
from real_registry import HTPASSWD, log_in, shared
from terminal import run, spawn, tree

from ollama_pack.base.digest_memory import memory_path
from ollama_pack.registry import downloads, uploads
from ollama_pack.registry.login import _login_for

pytest.importorskip("oras", reason="the extra `oci` is not installed")


@pytest.fixture
def authority(tmp_path):
    """Make an authority of our own and a certificate for 127.0.0.1, and return the paths of the files."""
    x509 = pytest.importorskip("cryptography.x509", reason="NOT TESTED: cryptography is not installed")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def certificate(name, key, issuer, signing_key, more):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        built = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
        built = built.public_key(key.public_key()).serial_number(x509.random_serial_number())
        built = built.not_valid_before(now - datetime.timedelta(days=1))
        built = built.not_valid_after(now + datetime.timedelta(days=1)).add_extension(more, critical=False)
        return built.sign(signing_key, hashes.SHA256())

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    own = certificate("authority", keys[0], None, keys[0], x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = certificate("registry", keys[1], own.subject, keys[0], names)
    pem = serialization.Encoding.PEM
    (tmp_path / "ca.pem").write_bytes(own.public_bytes(pem))
    (tmp_path / "server.pem").write_bytes(server.public_bytes(pem))
    plain = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "server.key").write_bytes(keys[1].private_bytes(*plain))
    return tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "server.key"


def test_tls_with_an_authority_of_our_own(pushable, distribution, authority, alone, monkeypatch):
    """docker-registry with TLS and a login: refused until its authority is named, and never asked by HTTP."""
    own, certificate, key = authority
    tmp_path = own.parent
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    host = distribution(
        f"auth: {{htpasswd: {{realm: Registry, path: {tmp_path}/htpasswd}}}}",
        http=f", tls: {{certificate: {certificate}, key: {key}}}",
    )
    place = f"oci://{host}/team/ada:1"
    log_in(alone, host)
    ran = run("push", pushable, place, "--json")
    assert (ran.code, ran.document["code"]) == (6, "no-network")
    assert "certificate of the registry is not trusted" in ran.document["what"]
    assert "REQUESTS_CA_BUNDLE" in ran.document["try"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own))
    assert run("push", pushable, place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


def helper(folder, monkeypatch, text):
    """Put a credential helper on the PATH."""
    path = folder / "docker-credential-played"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


ANSWERS = f"""
import json, sys
host = sys.stdin.read()
print(json.dumps({{"ServerURL": host, "Username": {USER!r}, "Secret": {PASSWORD!r}}}))
"""


@pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: a helper is a script here")
@pytest.mark.parametrize("case", list(itertools.product(["basic", "bearer"], ["credHelpers", "credsStore"])))
def test_a_credential_helper(pushable, alone, tmp_path, monkeypatch, case):
    """The login that a helper keeps is used, for registries with passwords and with tokens."""
    login, key = case
    helper(tmp_path, monkeypatch, ANSWERS)
    with stand_in_registry(login=login) as here:
        (alone / ".docker").mkdir()
        kept = {here.host: "played"} if key == "credHelpers" else "played"
        (alone / ".docker" / "config.json").write_text(json.dumps({key: kept}))
        place = f"oci://{here.host}/team/ada:1"
        assert run("push", pushable, place).code == 0
        assert run("pull", place, "--out", tmp_path / "out").code == 0


BROKEN = {
    "no JSON": ("print('hello')", 3),
    "no secret": ("print('{}')", 3),
    "another shape": ("print('[1]')", 3),
    "no login": ("import sys; print('credentials not found in native keychain'); sys.exit(1)", 6),
    "nothing": (None, 6),
}


@pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: a helper is a script here")
@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_a_credential_helper_that_fails(pushable, alone, tmp_path, monkeypatch, case):
    """One that answers nonsense is told; without a login, the registry's own refusal is."""
    text, code = case
    if text is not None:
        helper(tmp_path, monkeypatch, text)
    with stand_in_registry(login="basic") as here:
        (alone / ".docker").mkdir()
        (alone / ".docker" / "config.json").write_text(json.dumps({"credsStore": "played"}))
        ran = run("push", pushable, f"oci://{here.host}/team/ada:1", "--json")
        assert (ran.code, ran.document["code"]) == (code, "login")
        assert ran.document["try"] == f"docker login {here.host}"
        log_in(alone, here.host)
        assert run("push", pushable, f"oci://{here.host}/team/ada:1").code == 0


def test_amazon_asks_for_a_password(pushable):
    """ECR's challenge is answered by what `docker login` or its helper keeps; nothing needs boto3."""
    import requests

    client = type("Client", (), {"session": requests.Session(), "prefix": "https"})()
    challenge = (
        'Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"'
    )
    assert type(_login_for(client, challenge)).__name__ == "BasicAuth"
    assert type(_login_for(client, 'Bearer realm="https://ghcr.io/token"')).__name__ == "TokenAuth"


REFUSALS = {
    "a full disk": (500, "UNKNOWN", "write /data: no space left on device"),
    "a quota": (413, "DENIED", "adding 6.1 KiB of storage resource exceeds the limit"),
    "read-only": (405, "UNSUPPORTED", "The operation is unsupported."),
    "no right": (403, "DENIED", "permission_denied: write_package"),
}


STEPS = (("POST", "uploads"), ("PATCH", "uploads"), ("PUT", "uploads"), ("PUT", "manifests"))


@pytest.mark.parametrize("case", list(itertools.product(STEPS, REFUSALS)))
def test_a_registry_that_refuses(pushable, registry, tmp_path, monkeypatch, case):
    """Wherever it refuses, its own words are told, the tag names nothing, and a later push goes on."""
    step, (status, code, words) = case[0], REFUSALS[case[1]]
    monkeypatch.setattr(uploads, "BLOB_CHUNK", 4000)
    registry.answers[step] = (status, json.dumps({"errors": [{"code": code, "message": words}]}))
    place = f"oci://{registry.host}/team/ada:1"
    ran = run("push", pushable, place, "--json")
    assert (ran.code, ran.document["code"]) == (6, "registry")
    assert f"status {status}, {code} {words.rstrip('.')}" in ran.document["what"]
    assert ("team/ada", "1") not in registry.manifests
    registry.answers.clear()
    assert run("push", pushable, place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


@pytest.mark.parametrize("into", ["folder", "store"])
def test_no_space_for_a_pull(pushable, registry, tmp_path, monkeypatch, into):
    """A disk that is full while a blob arrives is told, and no part of the blob stays."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = tree(tmp_path / "models")
    call = ("--out", tmp_path / "out") if into == "folder" else ("--via", "store")
    with monkeypatch.context() as patch:
        patch.setattr(downloads.os, "fsync", full)
        ran = run("pull", place, *call, "--json")
    assert (ran.code, "disk is full" in ran.document["what"]) == (6, True)
    assert not (tmp_path / "out").exists()
    assert tree(tmp_path / "models") == before
    assert not [*tmp_path.glob(".ollama-pack-*"), *(memory_path().parent / "pulls").glob("*")]
    assert run("pull", place, *call).code == 0


def test_an_interrupted_pull(pushable, registry, tmp_path, monkeypatch):
    """Ctrl-C ends a pull, which leaves no folder but what the next one goes on with."""
    place = f"oci://{registry.host}/team/ada:1"
    assert run("push", pushable, place).code == 0
    script = (
        "import sys\nfrom ollama_pack.cli.app import main\nfrom ollama_pack.registry import downloads\n"
        "def interrupted(*_):\n    raise KeyboardInterrupt\n"
        "downloads._goes_on = interrupted\nsys.argv = ['ollama-pack', *sys.argv[1:]]\nmain()\n"
    )
    ran = spawn("pull", place, "--out", tmp_path / "out", code=script)
    assert ran.code == 130, ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "out").exists()
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert not list(tmp_path.glob(".ollama-pack-*"))


def test_a_registry_that_takes_no_manifest_of_ollama(pushable, registry):
    """One that takes OCI's manifests alone refuses the whole model; the release without its base goes in."""
    registry.refuses = "application/vnd.docker.distribution.manifest.v2+json"
    place = f"oci://{registry.host}/team/ada:1"
    ran = run("push", pushable, place, "--with-base", "--json")
    assert (ran.code, ran.document["code"]) == (6, "registry")
    assert "415" in ran.document["what"]
    assert ran.document["try"].startswith("push a folder without --with-base")
    assert run("push", pushable, place).code == 0
    assert run("verify", place).code == 0


def test_a_registry_that_does_not_say_what_belongs_to_a_model(pushable, models):
    """A refusal is no empty list: the model would be taken for one that nobody has to have released."""
    with stand_in_registry(lists_referrers=True) as here:
        pushed = run("push", pushable, f"oci://{here.host}/team/ada:1", "--with-base", "--json").document
        place = f"oci://{here.host}/team/ada@{pushed['ollama']}"
        for status in (401, 403, 429, 500):
            here.answers["GET", "/referrers/"] = (status, "no")
            for words in (("verify", place), ("pull", place, "grace")):
                assert run(*words).code == 6, (status, words)
        assert "grace" not in run("versions", "grace", "--store", models).stdout
        here.answers.clear()
        assert run("verify", place).code == 0
