"""``push`` without DIR: the releases of ollama-pack.toml go to their targets, whatever becomes of one."""

import pytest
from recipes import write_adapter
from terminal import run

FILE = """\
[options]
base = "tiny"
tag = "1.0.0"
[commands.release]
out = "dist"
report = false
[models.ada]
directory = "ada-lora"
targets = ["hf://ada/lovelace-gguf", "oci://{host}/team/ada:1.0.0"]
[models."grace:2.0.0"]
directory = "grace-lora"
targets = ["hf://ada/none", "oci://{host}/team/grace:2.0.0"]
[models.babbage]
directory = "babbage-lora"
"""

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content")  # huggingface_hub's own call of its client


@pytest.fixture
def project(alone, tiny_tag, registry):
    """Return the working directory, with the file, and releases of three models of which two have targets."""
    for name in ("ada", "grace", "babbage"):
        write_adapter(alone / f"{name}-lora", modules=("v_proj",))
    (alone / "ollama-pack.toml").write_text(FILE.replace("{host}", registry.host))
    assert run("release").code == 0
    return alone


def test_all_targets(project, hub, registry):
    """Three of four pushes succeed; the repository that is not there is told, with its exit code."""
    ran = run("push", "--json")
    assert ran.code == 2
    document = ran.document
    assert [each["name"] for each in document["pushes"]] == ["ada:1.0.0", "ada:1.0.0", "grace:2.0.0"]
    assert [each["directory"] for each in document["failed"]] == ["grace:2.0.0 to hf://ada/none"]
    assert "3 of 4 succeeded" in ran.stderr
    assert "release.json" in hub.files()
    pulled = run("pull", f"oci://{registry.host}/team/grace:2.0.0", "--out", project / "pulled")
    assert pulled.code == 0, pulled.stderr
    sums = [(project / place / "SHA256SUMS").read_bytes() for place in ("pulled", "dist/grace/2.0.0")]
    assert sums[0] == sums[1]


def test_what_is_missing(alone, hub):
    """Without a file, without targets or the directory of the releases, what is missing is named."""
    assert "names targets" in run("push").stderr
    (alone / "ollama-pack.toml").write_text("[models.ada]\n")
    ran = run("push")
    assert (ran.code, "names targets" in ran.stderr) == (2, True)
    assert run("push", "dist").code == 2
    (alone / "ollama-pack.toml").write_text('[models.ada]\ntargets = ["hf://ada/lovelace-gguf"]\n')
    told = run("push", "--json").document["failed"][0]["error"]
    assert told["try"].startswith('[commands.release] with out = "dist"')
    text = '[commands.release]\nout = "dist"\n[models.ada]\ntargets = ["hf://ada/lovelace-gguf"]\n'
    (alone / "ollama-pack.toml").write_text(text)
    assert run("push", "--json").document["failed"][0]["error"]["code"] != "bad-option"
