"""A signed release: who made it is proved, by a key, and whatever else was done to it is found."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from terminal import run
from test_release_command import PAPERS

serialization = pytest.importorskip(
    "cryptography.hazmat.primitives.serialization", reason="NOT TESTED: cryptography is not installed"
)
pytest.importorskip("model_signing", reason="NOT TESTED: the extra `sign` is not installed")

PASSWORD = b"correct horse"


def write_keys(folder, name, password=b""):
    """Write a key pair as PEM, and return the paths of the private and the public key."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private, public = folder / f"{name}.pem", folder / f"{name}-public.pem"
    pem = serialization.Encoding.PEM
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, sealed))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def keys(tmp_path):
    """Return the private and the public key of who makes the release."""
    return write_keys(tmp_path, "ada")


def test_a_folder_that_is_named_from_here(signed, keys, monkeypatch):
    """A relative path is the same folder: it is signed again and verified, as the pages show it."""
    monkeypatch.chdir(signed.parent)
    assert run("verify", "dist", "--key", keys[1]).code == 0
    call = (
        "release",
        "ada-lora",
        "ada:1.0.0",
        "--base",
        "tiny",
        "--out",
        "dist",
        "--sign",
        "key",
        "--key",
        keys[0],
    )
    for _ in range(2):
        assert run(*call).code == 0
        for folder in ("dist", "dist/", "./dist", signed):
            ran = run("verify", folder, "--key", keys[1])
            assert ran.code == 0, ran.stderr


@pytest.fixture
def signed(ada, tiny_tag, tmp_path, keys):
    """Return the folder of a signed release."""
    words = ("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", tmp_path / "dist")
    made = run(*words, "--sign", "key", "--key", keys[0])
    assert made.code == 0, made.stderr
    return tmp_path / "dist"


def test_who_made_it_is_proved(signed, keys):
    """The signature is one more file, and `verify` and the program of the library both read it."""
    assert {path.name for path in signed.iterdir()} == {*PAPERS, "model.sig"}
    verified = run("verify", signed, "--key", keys[1], "--json")
    assert verified.code == 0, verified.stderr
    assert [each["proof"] for each in verified.document["proofs"]][:3] == ["signature", "sums", "papers"]
    theirs = [sys.executable, "-m", "model_signing", "verify", "key", signed, "--public_key", keys[1]]
    subprocess.run([*theirs, "--signature", signed / "model.sig"], check=True, capture_output=True)


def test_a_signature_that_nobody_asked_for_is_told(signed):
    """Without a name of who must have signed, the proof is listed as not made; with one, it is needed."""
    verified = run("verify", signed, "--json")
    assert verified.code == 0
    assert "signature" in json.dumps(verified.document["not_proved"])


@pytest.mark.parametrize("name", sorted({*PAPERS, "model.sig", "more.txt"}))
def test_every_file_is_signed(signed, keys, name):
    """A file that is changed, or more, is a lie, also where the sums were written again for it."""
    content = (signed / name).read_bytes() if (signed / name).exists() else b""
    (signed / name).write_bytes(content[:-9] if name == "model.sig" else content + b" ")
    found = run("verify", signed, "--key", keys[1])
    assert (found.code, "signature" in found.stderr.lower()) == (5, True)


def test_a_file_taken_away(signed, keys):
    """A file that was signed has to be there."""
    (signed / "report.html").unlink()
    assert run("verify", signed, "--key", keys[1]).code == 5


def test_another_key(signed, tmp_path):
    """What somebody else signed is not from whom it should be."""
    found = run("verify", signed, "--key", write_keys(tmp_path, "eve")[1])
    assert (found.code, "model.sig" in found.stderr) == (5, True)


def test_an_unsigned_release(dist, keys):
    """A release without a signature does not pass where one is asked for."""
    found = run("verify", dist, "--key", keys[1])
    assert (found.code, "no signature" in found.stderr) == (5, True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="NOT TESTED: this system has no FIFOs")
def test_a_signature_that_is_no_file(dist, keys):
    """Nothing waits for a FIFO in the place of a signature."""
    os.mkfifo(dist / "model.sig")
    assert run("verify", dist, "--key", keys[1]).code == 5


def test_a_folder_may_move(signed, keys, tmp_path):
    """The signature is of what is in the folder, and not of where it lies."""
    shutil.copytree(signed, tmp_path / "elsewhere")
    assert run("verify", tmp_path / "elsewhere", "--key", keys[1]).code == 0


def test_made_again(signed, ada, tiny_tag, keys):
    """An unsigned release in the same folder has no signature of the earlier one."""
    assert run("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", signed).code == 0
    assert not (signed / "model.sig").exists()


def test_a_key_with_a_password(ada, tiny_tag, tmp_path, monkeypatch):
    """The password comes from the environment and is never told; a wrong one ends before anything is made."""
    private, public = write_keys(tmp_path, "locked", PASSWORD)
    words = ("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", tmp_path / "dist", "--sign", "key")
    monkeypatch.setenv("OLLAMA_PACK_KEY_PASSWORD", "wrong horse")
    failed = run(*words, "--key", private)
    assert (failed.code, "OLLAMA_PACK_KEY_PASSWORD" in failed.stderr) == (3, True)
    assert "wrong horse" not in failed.stdout + failed.stderr
    assert not (tmp_path / "dist").exists()
    monkeypatch.setenv("OLLAMA_PACK_KEY_PASSWORD", PASSWORD.decode())
    made = run(*words, "--key", private)
    assert made.code == 0
    assert PASSWORD.decode() not in made.stdout + made.stderr
    assert run("verify", tmp_path / "dist", "--key", public).code == 0


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n", b"\xff" * 99]
)
def test_a_key_that_is_none(ada, tiny_tag, tmp_path, content, dist):
    """A damaged key is told with its file; so is a private key where a public one is needed."""
    bad = tmp_path / "bad.pem"
    bad.write_bytes(content)
    for words in (
        ("release", ada, "--base", tiny_tag, "--out", tmp_path / "more", "--sign", "key", "--key", bad),
        ("verify", dist, "--key", bad),
    ):
        failed = run(*words)
        assert (failed.code, ".pem" in failed.stderr) == (3, True)
        assert "MIG" not in failed.stderr
    missing = run("verify", dist, "--key", tmp_path / "none.pem")
    assert (missing.code, "none.pem" in missing.stderr) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "dist", "--identity", "ada@example.org"),
        ("verify", "dist", "--identity-provider", "https://example.org"),
        ("verify", "dist", "--key", "x", "--identity", "a", "--identity-provider", "b"),
        ("release", "lora", "--out", "dist", "--sign", "key"),
        ("release", "lora", "--out", "dist", "--key", "x"),
        ("release", "lora", "--out", "dist", "--sign", "sigstore", "--key", "x"),
    ],
)
def test_options_that_belong_together(words):
    """Half of an answer to who signs is no answer."""
    assert run(*words).code == 2


def test_a_model_has_no_signature(signed, keys):
    """An installed model cannot be asked who made it."""
    asked = run("verify", "ada", "--key", keys[1])
    assert (asked.code, "no signature" in asked.stderr) == (2, True)
    assert run("verify", signed, "--key", keys[1]).code == 0


def test_sigstore_that_is_not_there(ada, tiny_tag, tmp_path, monkeypatch):
    """Where no CI system says who it is, the release is there, unsigned, and the exit code tells it."""
    monkeypatch.setenv("CI", "true")
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "GITLAB_CI", "GITHUB_ACTIONS", "SIGSTORE_ID_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    dist = tmp_path / "dist"
    made = run("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", dist, "--sign", "sigstore")
    assert (made.code, "cannot be signed" in made.stderr) == (6, True)
    assert {path.name for path in dist.iterdir()} == PAPERS
    monkeypatch.delenv("CI")
    private, public = write_keys(tmp_path, "ada")
    words = (
        "release",
        ada,
        "ada:1.0.0",
        "--base",
        tiny_tag,
        "--out",
        dist,
        "--sign",
        "key",
        "--key",
        private,
    )
    assert run(*words).code == 0
    assert run("verify", dist, "--key", public).code == 0


def test_the_extra_is_named(monkeypatch, keys, dist):
    """Without the library the message says what to install."""
    monkeypatch.setitem(sys.modules, "model_signing", None)
    asked = run("verify", dist, "--key", keys[1])
    assert (asked.code, "pip install 'ollama-pack[sign]'" in asked.stderr) == (2, True)


def test_a_batch_is_signed(ada, tiny_tag, tmp_path, keys):
    """A release of a batch that is unchanged, and not signed yet, is only signed."""
    words = ("release", "--each", ada, "--tag", "1.0.0", "--base", tiny_tag, "--out", tmp_path / "dist")
    assert run(*words).code == 0
    (sums,) = (tmp_path / "dist").rglob("SHA256SUMS")
    before = sums.stat().st_mtime_ns
    assert run(*words, "--sign", "key", "--key", keys[0]).code == 0
    assert (sums.parent / "model.sig").exists()
    assert sums.stat().st_mtime_ns == before
    assert run("verify", sums.parent, "--key", keys[1]).code == 0
