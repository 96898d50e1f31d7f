"""docs/fleet.md, parsed and played: the systemd unit and the Kubernetes Job bring a signed release."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import fake_daemon
import pytest
import yaml
from terminal import CODE, add_base, digest_in, environment, run

pytest.importorskip("oras", reason="NOT TESTED: the extra `oci` is not installed")
pytest.importorskip("model_signing", reason="NOT TESTED: the extra `sign` is not installed")

from test_signed_release import write_keys

PAGE = (CODE / "docs" / "fleet.md").read_text("utf-8")
UNIT, TIMER = re.findall(r"```ini\n(.*?)```", PAGE, re.S)
(ENV_FILE,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
CONFIG_MAP, JOB = yaml.safe_load_all(re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1])
RELEASE, SYSTEMCTL = re.findall(r"```\n((?:ollama-pack|systemctl) .*?)```", PAGE, re.S)
HOST = "registry.example.com"
PROGRAM = "/opt/ollama-pack/bin/ollama-pack"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: needs a shell of POSIX")


def sections_of(unit):
    """Return the values of each key of a unit, by section."""
    found = {}
    for line in unit.splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line:
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


@pytest.fixture
def keys(tmp_path):
    """Return the private and the public key of who makes releases."""
    return write_keys(tmp_path, "ada")


@pytest.fixture
def released(ada, models, tiny_gguf, keys, registry):
    """Release and push as the page says, on a base of the test's, and return the place."""
    add_base(models, tiny_gguf, "tiny", "latest")
    there = {"ada-lovelace-lora/": str(ada), "private.pem": str(keys[0]), HOST: registry.host}
    there["dist/"] = str(keys[0].parent / "dist")
    release, push = (line.removeprefix("ollama-pack ") for line in RELEASE.splitlines())
    for line, more in ((release, ["--base", "tiny"]), (push, [])):
        for written, here in there.items():
            line = line.replace(written, here)
        ran = run(*shlex.split(line), *more)
        assert ran.code == 0, ran.stderr
    return shlex.split(push)[2].replace(HOST, registry.host)


@pytest.fixture
def machine(tmp_path, tiny_gguf):
    """Return the store of a machine that has no release and no base yet."""
    store = tmp_path / "machine" / "models"
    add_base(store, tiny_gguf, "other", "latest")
    return store


def start(unit, name, files, environ):
    """Play systemd: fill the specifiers and variables of a oneshot service, and run it."""
    service = sections_of(unit)["Service"]
    cache, credentials = files["cache"], files["credentials"]
    shutil.copy(files["/etc/ollama-pack/config.json"], credentials / "config.json")
    assert service["LoadCredential"] == ["config.json:/etc/ollama-pack/config.json"]

    def filled(text):
        for specifier, value in (("%i", name), ("%d", str(credentials)), ("%C", str(cache))):
            text = text.replace(specifier, value)
        return text

    assert filled(service["EnvironmentFile"][0]) == f"/etc/ollama-pack/{name}.env"
    pairs = [*map(filled, service["Environment"]), *files["env"].split()]
    given = dict(pair.split("=", 1) for pair in pairs)
    program, *words = shlex.split(filled(service["ExecStart"][0]))
    assert program == PROGRAM
    words = [re.sub(r"\$\{(\w+)\}", lambda found: given[found[1]], word) for word in words]
    words = [str(files.get(word, word)) for word in words]
    return subprocess.run(
        [sys.executable, "-m", "ollama_pack", *words],
        env=environ | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def files(tmp_path, keys):
    """Return where the files of the page are on this machine."""
    made = {name: tmp_path / name for name in ("cache", "credentials")}
    for folder in made.values():
        folder.mkdir()
    (tmp_path / "config.json").write_text("{}")
    files = {"config.json": tmp_path / "config.json", "release.pem": keys[1]}
    return made | {f"/etc/ollama-pack/{name}": path for name, path in files.items()}


def test_the_unit_brings_the_model(released, machine, files, keys, tmp_path):
    """The daemon gets the release with its base, a second run changes nothing, another key ends it with 5."""
    files["env"] = ENV_FILE.replace(HOST, released.split("/")[2])
    assert f"PLACE={released}" in files["env"]
    with fake_daemon.running(machine) as daemon:
        environ = environment(OLLAMA_HOST=daemon.address, OLLAMA_MODELS="/nowhere")
        ran = start(UNIT, "ada-lovelace", files, environ)
        assert ran.returncode == 0, ran.stderr
        first = digest_in(machine, "ada-lovelace")
        again = start(UNIT, "ada-lovelace", files, environ)
        assert (again.returncode, digest_in(machine, "ada-lovelace")) == (0, first), again.stderr
        files["/etc/ollama-pack/release.pem"] = write_keys(tmp_path, "mallory")[1]
        assert start(UNIT, "grace", files, environ).returncode == 5
        assert not daemon.models.has("grace")


def test_the_units_are_valid(tmp_path):
    """Systemd itself finds nothing wrong with them, and the timer starts the service of its name."""
    assert sections_of(TIMER)["Install"] == {"WantedBy": ["timers.target"]}
    assert all("ollama-pack@ada-lovelace." in line for line in SYSTEMCTL.splitlines()[1:])
    if not shutil.which("systemd-analyze"):
        pytest.skip("NOT TESTED: no systemd-analyze here")
    paths = [tmp_path / f"ollama-pack@.{kind}" for kind in ("service", "timer")]
    for path, unit in zip(paths, (UNIT, TIMER), strict=True):
        path.write_text(unit.replace(PROGRAM, "/bin/true"))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, "ollama-pack@" in ran.stderr) == (0, False), ran.stderr


def test_the_job_brings_the_model(released, machine, keys, tmp_path):
    """Its script leaves the model in the store that is mounted, and what it mounts is there."""
    pod = JOB["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    places = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    assert set(places.values()) == {each["name"] for each in pod["volumes"]}
    assert {"models": "/models"}.items() <= {name: path for path, name in places.items()}.items()
    folders = {path: tmp_path / path.strip("/") for path in places} | {"/models": machine}
    for path, folder in folders.items():
        folder.mkdir(exist_ok=True)
        assert path != "/keys" or CONFIG_MAP["data"].keys() == {"release.pem"}
    shutil.copy(keys[1], folders["/keys"] / "release.pem")
    (folders["/login"] / "config.json").write_text(json.dumps({"auths": {}}))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, body in (
        ("python", f'test "$*" = "-m pip install --quiet ollama-pack[oci,sign]"; echo $? > {tmp_path}/pip\n'),
        ("ollama-pack", f'exec {shlex.quote(sys.executable)} -m ollama_pack "$@"\n'),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{body}")
        (tools / name).chmod(0o755)
    given = {each["name"]: each["value"] for each in container["env"]}
    given["PLACE"] = given["PLACE"].replace(HOST, released.split("/")[2])
    assert given["PLACE"] == released
    given |= {key: str(folders[given[key]]) for key in ("DOCKER_CONFIG", "XDG_CACHE_HOME")}
    (script,) = container["args"]
    for path in ("/models", "/keys"):
        script = script.replace(f" {path}", f" {folders[path]}")
    path = os.pathsep.join((str(tools), os.environ["PATH"]))
    ran = subprocess.run(
        [*container["command"], script],
        env=environment(PATH=path) | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "pip").read_text() == "0\n"
    assert digest_in(machine, "ada-lovelace")


def test_the_job_is_one_that_kubernetes_takes():
    """A name of DNS, a policy that Jobs may have, and limits to its tries and its time."""
    assert (JOB["apiVersion"], JOB["kind"]) == ("batch/v1", "Job")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", JOB["metadata"]["name"])
    assert JOB["spec"]["template"]["spec"]["restartPolicy"] in ("OnFailure", "Never")
    assert {"backoffLimit", "activeDeadlineSeconds"} <= JOB["spec"].keys()
    volumes = {each["name"]: each for each in JOB["spec"]["template"]["spec"]["volumes"]}
    assert volumes["keys"]["configMap"]["name"] == CONFIG_MAP["metadata"]["name"]
    assert f"job/{JOB['metadata']['name']}`" in " ".join(PAGE.split())
