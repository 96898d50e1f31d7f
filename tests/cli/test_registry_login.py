"""The login of ``push`` and ``pull``: Docker's, for its own registry alone, and never in a message."""

import json
import sys

import pytest
from oci_registry import PASSWORD, stand_in_registry
from real_registry import HTPASSWD, log_in, shared
from terminal import run

pytest.importorskip("oras", reason="the extra `oci` is not installed")


def test_a_real_registry_with_a_login(pushable, distribution, alone, tmp_path):
    """docker-registry with a file of passwords: none and a wrong one are refused, Docker's is taken."""
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    host = distribution(f"auth: {{htpasswd: {{realm: Registry, path: {tmp_path}/htpasswd}}}}")
    place = f"oci://{host}/team/ada:1"
    none = run("push", pushable, place, "--json")
    assert (none.code, none.document["code"], none.document["what"]) == (
        6,
        "login",
        "The registry asks for a login.",
    )
    log_in(alone, host, "planted-password")
    wrong = run("push", pushable, place, "--json")
    assert (wrong.document["code"], wrong.document["what"]) == ("login", "The registry refuses the login.")
    assert "planted-password" not in wrong.stdout + wrong.stderr
    log_in(alone, host)
    assert run("push", pushable, place).code == 0
    assert run("pull", place, "--out", tmp_path / "out").code == 0
    assert shared(tmp_path / "out") == shared(pushable)


def test_tokens(pushable, alone, tmp_path):
    """A token is got with Docker's login, and anew when it is too old; the password goes for tokens alone."""
    with stand_in_registry(login="bearer") as here:
        place = f"oci://{here.host}/team/ada:1"
        assert run("push", pushable, place, "--json").document["code"] == "login"
        log_in(alone, here.host)
        assert run("push", pushable, place).code == 0
        here.tokens.clear()
        here.asked.clear()
        assert run("pull", place, "--out", tmp_path / "out").code == 0
        assert {path for _, path, login in here.asked if login.startswith("Basic")} == {
            "/token?service=s&scope=x"
        }


class Once(set):
    """Tokens that count for one request each."""

    def __contains__(self, token: object) -> bool:
        known = super().__contains__(token)
        self.discard(token)
        return known


def test_a_token_that_expires_half_way(pushable, alone):
    """A push goes on with a new token whenever the registry forgets the old one."""
    with stand_in_registry(login="bearer", tokens=Once()) as here:
        log_in(alone, here.host)
        assert run("push", pushable, f"oci://{here.host}/team/ada:1").code == 0
        assert len([path for path in here.bodies("GET") if "/token" in path]) > 9


@pytest.mark.parametrize(
    "realm", ["http://elsewhere.example.com/token", "http://127.0.0.1.example.com/token"]
)
def test_a_login_that_is_asked_for_elsewhere(pushable, alone, realm):
    """A registry that wants the password at a place without TLS does not get it."""
    with stand_in_registry(login="bearer", realm=realm) as here:
        log_in(alone, here.host)
        ran = run("push", pushable, f"oci://{here.host}/team/ada:1")
        assert (ran.code, "without TLS" in ran.stderr) == (6, True)


def test_the_login_stays_with_its_registry(pushable, alone, tmp_path):
    """Where a registry keeps its blobs elsewhere, uploads and downloads go there without the login."""
    with stand_in_registry() as storage, stand_in_registry(login="basic") as here:
        log_in(alone, here.host)
        here.elsewhere = f"http://{storage.host}"
        assert run("push", pushable, f"oci://{here.host}/team/ada:1").code == 0
        assert storage.bodies("PUT")
        here.blobs |= storage.blobs
        assert run("pull", f"oci://{here.host}/team/ada:1", "--out", tmp_path / "out").code == 0
        assert storage.bodies("GET")
        assert {login for _, _, login in storage.asked} == {""}


def test_a_refusal_repeats_no_login(pushable, alone):
    """What a registry says of its refusal is told without the login, even where it repeats the login."""
    with stand_in_registry(login="basic") as here:
        log_in(alone, here.host)
        words = json.dumps({"errors": [{"code": "DENIED", "message": f"no, {PASSWORD} may not"}]})
        here.answers["POST", "uploads"] = (403, words)
        ran = run("push", pushable, f"oci://{here.host}/team/ada:1", "--json")
        assert (ran.code, ran.document["code"]) == (6, "registry")
        assert "403, DENIED no, … may not" in ran.document["what"]


def test_what_is_missing_is_told(pushable, registry, monkeypatch):
    """Without the extra the command names what installs it."""
    monkeypatch.setitem(sys.modules, "oras.provider", None)
    ran = run("push", pushable, f"oci://{registry.host}/team/ada:1", "--json")
    assert (ran.code, ran.document["code"]) == (2, "extra-missing")
    assert ran.document["try"] == "pip install 'ollama-pack[oci]'"
