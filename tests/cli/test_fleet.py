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
from pod import run_container
from terminal import CODE, add_base, digest_in, environment, model_in, run

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


@pytest.fixture
def asked_for(registry):
    """Return a function that calls another and returns the methods of the requests that it made meanwhile."""

    def asked(call):
        before = len(registry.asked)
        ran = call()
        return ran, [method for method, *_ in registry.asked[before:]]

    return asked


ONE_DIGEST = ["GET", "HEAD"]
"""Whether somebody is there, and the digest of the manifest: no manifest and no blob moves."""


def test_the_unit_brings_the_model(released, machine, files, tmp_path, asked_for):
    """The daemon gets the release with its base, a second run moves nothing, another key ends it with 5."""
    files["env"] = ENV_FILE.replace(HOST, released.split("/")[2])
    assert f"PLACE={released}" in files["env"]
    with fake_daemon.running(machine) as daemon:
        environ = environment(OLLAMA_HOST=daemon.address, OLLAMA_MODELS="/nowhere")
        ran = start(UNIT, "ada-lovelace", files, environ)
        assert ran.returncode == 0, ran.stderr
        first = digest_in(machine, "ada-lovelace")
        again, asked = asked_for(lambda: start(UNIT, "ada-lovelace", files, environ))
        assert (again.returncode, asked) == (0, ONE_DIGEST), again.stderr
        assert "ada-lovelace is already up to date" in again.stderr
        assert digest_in(machine, "ada-lovelace") == first
        files["/etc/ollama-pack/release.pem"].write_bytes(write_keys(tmp_path, "mallory")[1].read_bytes())
        for name in ("grace", "ada-lovelace"):  # also what is there is not right by another key
            assert start(UNIT, name, files, environ).returncode == 5
        assert not daemon.models.has("grace")


def test_a_new_release_and_a_model_that_is_gone_are_fetched(released, registry, machine, asked_for, tmp_path):
    """The digest is asked for each time: a moved tag, a removed model and a missing blob are made good."""
    call = ("pull", released, "ada", "--via", "store", "--store", machine, "--json")
    assert run(*call).document["unchanged"] is False
    ran, asked = asked_for(lambda: run(*call))
    assert (ran.document["unchanged"], asked) == (True, ONE_DIGEST)
    assert ran.document["digest"] == run(*call, "--allow-noop").document["digest"]  # another question
    first = digest_in(machine, "ada")
    library = machine / "manifests" / "registry.ollama.ai" / "library"
    adapter = next(
        each for each in model_in(machine, "ada")["layers"] if each["mediaType"].endswith("adapter")
    )
    spoilt = {
        "removed": (library / "ada" / "latest").unlink,
        "a blob less": (machine / "blobs" / adapter["digest"].replace(":", "-")).unlink,
        "another model": lambda: shutil.copy(library / "other" / "latest", library / "ada" / "latest"),
    }
    for kind, spoil in spoilt.items():
        spoil()
        ran, asked = asked_for(lambda: run(*call))
        assert (ran.code, ran.document["unchanged"], digest_in(machine, "ada")) == (0, False, first), kind
        assert "HEAD" not in asked, kind
        assert run(*call).document["unchanged"] is True
    name = released.partition("/team/")[2]
    repository, tag = f"team/{name.partition(':')[0]}", name.partition(":")[2]
    registry.manifests[repository, tag] = registry.manifests[repository, f"{tag}-release"]
    ran, asked = asked_for(lambda: run(*call))
    assert (ran.code, ran.document["unchanged"]) == (0, False)
    assert asked[:2] == ONE_DIGEST
    assert len(asked) > 4


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


def test_the_job_brings_the_model(released, machine, keys, tmp_path, asked_for):
    """Its script, run as it is, leaves the model in the store that is mounted; run again it moves nothing."""
    pod = JOB["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {each["name"]: tmp_path / f"volume-{each['name']}" for each in pod["volumes"]}
    for folder in (*volumes.values(), tmp_path / "root", tmp_path / "tools"):
        folder.mkdir()
    volumes["models"] = machine
    shutil.copy(keys[1], volumes["keys"] / "release.pem")
    assert CONFIG_MAP["data"].keys() == {"release.pem"}
    secret = next(each["secret"] for each in pod["volumes"] if each["name"] == "login")
    (volumes["login"] / secret["items"][0]["path"]).write_text(json.dumps({"auths": {}}))
    for name, body in (
        ("python", f'test "$*" = "-m pip install --quiet ollama-pack[oci,sign]"; echo $? > {tmp_path}/pip\n'),
        ("ollama-pack", f'exec {shlex.quote(sys.executable)} -m ollama_pack "$@"\n'),
    ):
        (tmp_path / "tools" / name).write_text(f"#!/bin/sh\n{body}")
        (tmp_path / "tools" / name).chmod(0o755)
    container["env"][0]["value"] = container["env"][0]["value"].replace(HOST, released.split("/")[2])
    assert container["env"][0] == {"name": "PLACE", "value": released}
    environ = environment(
        PATH=f"{tmp_path / 'tools'}{os.pathsep}{os.environ['PATH']}", PYTHONPATH=os.pathsep.join(sys.path)
    )
    for fetched in (True, False):
        ran, asked = asked_for(lambda: run_container(container, volumes, tmp_path / "root", environ))
        assert ran.returncode == 0, ran.stderr
        assert (asked == ONE_DIGEST) is not fetched
    assert (tmp_path / "pip").read_text() == "0\n"
    assert model_in(machine, "ada-lovelace")
    (volumes["keys"] / "release.pem").write_bytes(write_keys(tmp_path, "mallory")[1].read_bytes())
    assert run_container(container, volumes, tmp_path / "root", environ).returncode == 5


def as_kubernetes_reads(document):
    """Return a manifest as Kubernetes' own models in Python have it, without what they do not know."""
    client = pytest.importorskip("kubernetes.client", reason="NOT TESTED: no client of Kubernetes here")
    with client.ApiClient() as api:
        read = api.deserialize(json.dumps(document), f"V1{document['kind']}", "application/json")
        return api.sanitize_for_serialization(read)


@pytest.mark.parametrize("document", [CONFIG_MAP, JOB], ids=["ConfigMap", "Job"])
def test_kubernetes_knows_every_key(document):
    """Its own models take the manifests without losing a key; a key that is misspelled would be lost."""
    assert as_kubernetes_reads(document) == document
    spoilt = json.loads(json.dumps(document).replace('"metadata"', '"metaData"'))
    assert as_kubernetes_reads(spoilt) != spoilt


def test_the_job_is_one_that_kubernetes_takes():
    """A name of DNS, a policy that Jobs may have, and limits to its tries and its time."""
    assert (JOB["apiVersion"], JOB["kind"]) == ("batch/v1", "Job")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", JOB["metadata"]["name"])
    assert JOB["spec"]["template"]["spec"]["restartPolicy"] in ("OnFailure", "Never")
    assert {"backoffLimit", "activeDeadlineSeconds"} <= JOB["spec"].keys()
    volumes = {each["name"]: each for each in JOB["spec"]["template"]["spec"]["volumes"]}
    assert volumes["keys"]["configMap"]["name"] == CONFIG_MAP["metadata"]["name"]
    assert f"job/{JOB['metadata']['name']}`" in " ".join(PAGE.split())
