"""``verify`` and ``register`` of a release that is not what it says: exit code 5, whoever changed what."""

import hashlib
import json
import os
import shutil

import pytest
from terminal import run, spawn
from test_release_command import PAPERS


def sums_again(folder):
    """Write the sums of a release anew, as somebody who changed a file would."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def edited(path, change):
    """Change a paper in JSON, and the sums beside it."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, indent=2) + "\n")
    sums_again(path.parent)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_no_byte_may_change(dist, name):
    """Whichever file has one other byte, is missing, or is longer: verify says so with exit code 5."""
    path = dist / name
    content = path.read_bytes()
    for at in sorted({0, len(content) // 2, len(content) - 1}):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        ran = run("verify", dist)
        assert ran.code == 5, (name, at, ran.stderr)
    path.write_bytes(content + b"\n")
    assert run("verify", dist).code == 5
    path.unlink()
    assert run("verify", dist).code == 5
    path.write_bytes(content)
    assert run("verify", dist).code == 0


LIES = {
    "another digest": ("provenance.intoto.json", lambda d: d["subject"][0]["digest"].update(sha256="0" * 64)),
    "a subject less": ("test-result.intoto.json", lambda d: d["subject"].pop()),
    "a proof more": ("test-result.intoto.json", lambda d: d["predicate"]["passedTests"].append("load")),
    "another base": ("bom.cdx.json", lambda d: d["metadata"]["component"]["pedigree"]["ancestors"].clear()),
    "another licence": ("bom.cdx.json", lambda d: d["metadata"]["component"].update(licenses=[])),
    "other parameters": (
        "provenance.intoto.json",
        lambda d: d["predicate"]["buildDefinition"]["externalParameters"].update(scale=2.0),
    ),
    "another adapter": ("release.json", lambda d: d["adapter"]["sources"].clear()),
    "another model": ("release.json", lambda d: d.update(model="grace:1.0.0")),
    "a proof that failed": ("release.json", lambda d: d["proofs"][0].update(passed=False)),
    "no files": ("release.json", lambda d: d.update(files=5)),
    "a file elsewhere": ("release.json", lambda d: d["files"][0].update(name="../x")),
    "no proofs": ("release.json", lambda d: d.pop("proofs")),
}


@pytest.mark.parametrize(("name", "change"), LIES.values(), ids=LIES)
def test_a_lie_with_its_sum_is_found(dist, ada, tiny_tag, name, change):
    """A paper that was changed together with SHA256SUMS still contradicts the files or the record."""
    edited(dist / name, change)
    ran = run("verify", dist)
    assert (ran.code, "Traceback" in ran.stderr) == (5, False), ran.stderr
    assert "try: make the release again" in ran.stderr
    assert run("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", dist).code == 0
    assert run("verify", dist).code == 0


@pytest.mark.parametrize(
    ("form", "name"),
    [((), ()), ((), ("me/Ada",)), (("--merge",), ()), (("--merge",), ("example.org/me/a:2",))],
)
def test_names_are_compared_as_ollama_does(form, name, ada, request, tmp_path):
    """A release without a tag is :latest in its record: it is verified, and registered as it is told."""
    base = ("--base", request.getfixturevalue("tiny_gguf" if form else "tiny_tag"))
    made = run("release", ada, *name, *form, *base, "--out", tmp_path / "r", "--no-report")
    assert made.code == 0, made.stderr
    verified = run("verify", tmp_path / "r")
    assert verified.code == 0, verified.stderr
    told = made.stderr[made.stderr.index("ollama-pack register") :].splitlines()[0]
    registered = run(*told.split()[1:], "--via", "store", "--no-load")
    assert registered.code == 0, registered.stderr
    edited(tmp_path / "r" / "release.json", lambda record: record.update(model="grace:latest"))
    refused = run("verify", tmp_path / "r")
    assert refused.code == 5
    assert "The release is not whole: release.json is wrong about the model." in refused.stderr


@pytest.mark.parametrize("name", sorted(PAPERS)[1:])
def test_no_two_files_may_change_places(dist, name):
    """Two files that have each other's bytes are found, also where SHA256SUMS says just that."""
    was = {path: path.read_bytes() for path in dist.iterdir()}
    first = dist / name
    for second in sorted(path for path in was if path < first):
        for rewritten in (False, True):
            first.write_bytes(was[second])
            second.write_bytes(was[first])
            assert first.read_bytes() != second.read_bytes()
            if rewritten:
                sums_again(dist)
            ran = run("verify", dist)
            assert (ran.code, "Traceback" in ran.stderr) == (5, False), (second.name, rewritten, ran.stderr)
            for path, content in was.items():
                path.write_bytes(content)
    assert run("verify", dist).code == 0


def test_a_file_more(dist, tmp_path):
    """A file that was added to a release is a lie too, and register takes no such release."""
    shutil.copytree(dist, tmp_path / "sent")
    (dist / "evil.sh").write_text("x")
    assert run("verify", dist).code == 5
    refused = run("register", dist, "--via", "store")
    assert refused.code == 5
    assert "copy its folder again" in refused.stderr
    shutil.rmtree(dist)
    shutil.copytree(tmp_path / "sent", dist)
    assert run("register", dist, "--via", "store").code == 0


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "merged_model.gguf"])
def test_a_file_more_with_its_sum(dist, name):
    """A file that the record does not know is a lie, also where SHA256SUMS has its digest."""
    (dist / name).write_bytes(b"x")
    sums_again(dist)
    ran = run("verify", dist)
    assert (ran.code, "wrong about the files" in ran.stderr) == (5, True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="NOT TESTED: this system has no pipes with names")
@pytest.mark.parametrize("name", ["SHA256SUMS", "release.json", "README.md", "adapter_model.gguf"])
def test_nobody_is_waited_for(dist, name):
    """A pipe in place of a file ends the verification, instead of waiting for who would write into it."""
    (dist / name).unlink()
    os.mkfifo(dist / name)
    assert spawn("verify", "--no-load", dist).code == 5


def test_a_directory_or_a_link_to_nothing(dist):
    """What is no file is a lie, whatever it is."""
    for name in sorted(PAPERS):
        content = (dist / name).read_bytes()
        (dist / name).unlink()
        (dist / name).mkdir()
        assert run("verify", dist).code == 5, name
        (dist / name).rmdir()
        (dist / name).symlink_to("nowhere")
        assert run("verify", dist).code == 5, name
        (dist / name).unlink()
        (dist / name).write_bytes(content)
