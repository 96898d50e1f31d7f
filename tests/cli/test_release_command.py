"""``ollama-pack release``: a folder with the model, its proofs and its papers, and what finds a lie in it."""

import hashlib
import json
import re
import shutil

import pytest
from recipes import write_adapter, write_model
from terminal import add_base, environment, model_in, run, spawn, tree
from test_nothing_leaks import BAIT, baits_in, trained  # noqa: F401 — a fixture

from ollama_pack import Request, UsageError
from ollama_pack.pipeline.release.make import make_release

PAPERS = {
    *(
        "adapter_model.gguf",
        "Modelfile.txt",
        "ollama-pack.lock",
        "ollama-manifest.json",
        "ollama-config.json",
    ),
    *("release.json", "bom.cdx.json", "provenance.intoto.json", "test-result.intoto.json", "README.md"),
    *("report.html", "SHA256SUMS"),
}
ELSEWHERE = """
import os, random, time
real, listed, scanned = time.time, os.listdir, os.scandir
time.time = lambda: real() + 500_000_000
random.seed(7)
os.umask(0o077)

class Backwards:
    def __init__(self, *place):
        with scanned(*place) as found:
            self.found = list(found)
    __next__ = lambda self: self.found.pop() if self.found else self.end()
    __iter__ = __enter__ = lambda self: self
    __exit__ = close = lambda self, *error: None
    def end(self):
        raise StopIteration

os.listdir, os.scandir = lambda *place: listed(*place)[::-1], Backwards
from ollama_pack.cli import main
main(prog_name="ollama-pack")
"""
"""The command line on a machine whose clock is sixteen years ahead and whose directories are in reverse."""


def test_a_release_is_whole(dist):
    """Every paper is there and speaks of the same files, and the sums are those of sha256sum."""
    assert {path.name for path in dist.iterdir()} == PAPERS
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in dist.iterdir()}
    lines = (dist / "SHA256SUMS").read_text().splitlines()
    assert dict(line.split("  ")[::-1] for line in lines) == {
        name: digits for name, digits in digests.items() if name != "SHA256SUMS"
    }
    for name in ("provenance.intoto.json", "test-result.intoto.json"):
        for subject in json.loads((dist / name).read_text())["subject"]:
            assert subject["digest"]["sha256"] == digests[subject["name"]]
    verified = run("verify", dist, "--json")
    assert verified.code == 0
    assert [each["proof"] for each in verified.document["proofs"]][:2] == ["sums", "papers"]


def test_the_papers_say_what_it_is_made_of(dist, ada):
    """The provenance names the adapter's files and the base with their digests; the result has the proofs."""
    provenance = json.loads((dist / "provenance.intoto.json").read_text())["predicate"]["buildDefinition"]
    told = {each["name"]: each.get("digest", {}).get("sha256") for each in provenance["resolvedDependencies"]}
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert told[f"adapter 1: {name}"] == hashlib.sha256((ada / name).read_bytes()).hexdigest()
    assert {"base manifest: tiny:latest", "base blob: tiny:latest"} <= set(told)
    assert provenance["externalParameters"]["model"] == "ada:1.0.0"
    result = json.loads((dist / "test-result.intoto.json").read_text())["predicate"]
    assert (result["result"], result["failedTests"]) == ("WARNED", [])
    assert {"numbers", "base"} <= set(result["passedTests"])
    assert "load" in result["warnedTests"]
    card = (dist / "README.md").read_text()
    assert re.search(r'^base_model: "tests/tiny"\nbase_model_relation: "adapter"\nlibrary_name: ', card, re.M)


def test_the_bom_has_the_base(dist):
    """The base is the ancestor of the model."""
    bom = json.loads((dist / "bom.cdx.json").read_text())
    (ancestor,) = bom["metadata"]["component"]["pedigree"]["ancestors"]
    assert (ancestor["name"], ancestor["type"]) == ("tiny:latest", "machine-learning-model")


def test_the_same_bytes_everywhere_and_always(tiny_tag, models, tmp_path):
    """Two directories in two orders, two users, clocks, umasks and languages make one release."""
    made = []
    for number, code in enumerate(("", ELSEWHERE)):
        place = tmp_path / ("here", "a longer way to there/x")[number]
        write_adapter(place / "ada-lora")
        (place / "home").mkdir()
        env = environment(
            HOME=str(place / "home"),
            USER=("ada", "grace")[number],
            LOGNAME=("ada", "grace")[number],
            HOSTNAME=("here", "there")[number],
            TZ=("UTC", "Pacific/Kiritimati")[number],
            LC_ALL=("C", "C.UTF-8")[number],
            PYTHONHASHSEED=str(number + 1),
            OLLAMA_MODELS=str(models),
        )
        call = ("release", "ada-lora", "ada:1.0.0", "--base", tiny_tag, "--out", "dist")
        assert spawn(*call, code=code, env=env, cwd=place).code == 0
        made.append(tree(place / "dist"))
    assert made[0] == made[1]


def test_what_builds_wrote_is_no_input(tiny_gguf, tmp_path):
    """Builds and releases in the directory of the adapter change no byte of a release, also with --merge."""
    more = ("--merge", "--base", tiny_gguf)
    write_adapter(tmp_path / "ada-lora")
    write_adapter(tmp_path / "ada-lora" / "checkpoint-3")
    (tmp_path / "ada-lora" / "notes").mkdir()
    shutil.copytree(tmp_path / "ada-lora", tmp_path / "clean" / "ada-lora")
    built = tmp_path / "ada-lora"
    for words in (
        ("build", built, "--base", tiny_gguf, "--via", "store", "--no-load"),
        ("build", built / "checkpoint-3", *more, "--via", "folder"),
        ("build", built, *more, "--via", "folder", "--out", built / "notes" / "elsewhere"),
        ("release", built, *more, "--out", built / "an-earlier-one"),
        ("release", built, *more, "--out", built / "dist"),
        ("release", tmp_path / "clean" / "ada-lora", *more, "--out", tmp_path / "clean" / "dist"),
    ):
        ran = run(*words)
        assert ran.code == 0, ran.stderr
    assert tree(built / "dist") == tree(tmp_path / "clean" / "dist")


def test_again_is_the_same(dist, ada, tiny_tag):
    """A second release into the same folder has the same bytes, and tells the digest before."""
    before = tree(dist)
    ran = run("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", dist, "--json")
    assert (ran.code, tree(dist)) == (0, before)
    document = ran.document
    assert document["release"]["digest"] == f"sha256:{hashlib.sha256(before['SHA256SUMS'][0]).hexdigest()}"
    assert document["before"]["gguf"] == document["lora"]["digest"]


def test_a_release_in_python(ada, tiny_tag, tmp_path):
    """The function needs a folder, and makes what the command makes."""
    with pytest.raises(UsageError) as error:
        make_release(Request(directory=ada, base=tiny_tag))
    assert error.value.hint == "--out DIR"
    made = make_release(Request(directory=ada, base=tiny_tag, name="ada:1", out=tmp_path / "d"))
    sums = (tmp_path / "d" / "SHA256SUMS").read_bytes()
    assert made.digest == f"sha256:{hashlib.sha256(sums).hexdigest()}"


def test_register_a_release(dist, models):
    """A release is registered as it is."""
    assert run("register", dist, "ada:1.0.0", "--via", "store").code == 0
    assert model_in(models, "ada", "1.0.0")


def test_only_a_folder_of_its_own(ada, tiny_tag, tmp_path):
    """A folder with other files is left as it is."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "README.md").write_text("mine")
    before = tree(tmp_path / "dist")
    ran = run("release", ada, "--base", tiny_tag, "--out", tmp_path / "dist")
    assert (ran.code, tree(tmp_path / "dist")) == (7, before)
    assert "README.md" in ran.stderr
    assert "try: --out DIR, with a new directory" in ran.stderr
    assert run("release", ada, "--base", tiny_tag, "--out", tmp_path / "new").code == 0


def test_a_base_by_its_path(ada, tiny_gguf, tmp_path):
    """A release names no file of this machine; merged it needs none, and verifies."""
    call = ("release", ada, "ada:2", "--base", tiny_gguf, "--out", tmp_path / "dist")
    ran = run(*call)
    assert ran.code == 2
    assert "--merge" in ran.stderr
    assert list((tmp_path / "dist").glob("*")) == []
    assert run(*call, "--merge").code == 0
    assert run("verify", tmp_path / "dist").code == 0
    record = json.loads((tmp_path / "dist" / "release.json").read_text())
    assert record["form"] == "merged"
    assert record["kept"]["gain"] > 0.9
    assert "merged into tests/tiny." in (tmp_path / "dist" / "README.md").read_text()


def test_an_edited_modelfile(ada, tiny_tag, dist):
    """A release replaces its own Modelfile.txt; that of a build, which its user edited, is kept and told."""
    whole = tree(dist)
    (dist / "Modelfile.txt").write_text("FROM mine")
    call = ("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", dist)
    assert run(*call).code == 0
    assert tree(dist) == whole
    for name in PAPERS - {"Modelfile.txt", "adapter_model.gguf", "ollama-pack.lock"}:
        (dist / name).unlink()
    (dist / "Modelfile.txt").write_text("FROM mine")
    ran = run(*call)
    assert (ran.code, (dist / "Modelfile.txt.old").read_text()) == (7, "FROM mine")
    assert "Modelfile.txt.old" in ran.stderr


def test_a_failed_release_is_none(ada, tiny_tag, dist):
    """A build that fails leaves a folder that says it is no release."""
    (ada / "adapter_model.safetensors").write_bytes(b"x")
    assert run("release", ada, "ada:1.0.0", "--base", tiny_tag, "--out", dist).code == 3
    assert not (dist / "SHA256SUMS").exists()


def test_licences_that_contradict(ada, models, tiny_gguf, tmp_path):
    """A permissive adapter on a base with terms of its own is told, in every paper that names licences."""
    add_base(models, tiny_gguf, "tiny", "latest")
    manifest = models / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    text = b"LLAMA 2 COMMUNITY LICENSE AGREEMENT\n..."
    digest = hashlib.sha256(text).hexdigest()
    (models / "blobs" / f"sha256-{digest}").write_bytes(text)
    document = json.loads(manifest.read_text())
    kind = "application/vnd.ollama.image.license"
    document["layers"].append({"mediaType": kind, "digest": f"sha256:{digest}", "size": len(text)})
    manifest.write_text(json.dumps(document))
    (ada / "README.md").write_text("---\nlicense: mit\n---\n")
    ran = run("release", ada, "ada:1", "--base", "tiny", "--out", tmp_path / "dist")
    assert ran.code == 0
    assert "the base is under llama2, whose terms go on with the model; the adapter says mit" in ran.stderr
    record = json.loads((tmp_path / "dist" / "release.json").read_text())["licenses"]
    assert (record["adapter"], record["base"]) == ("mit", "llama2")
    assert "says mit" in (tmp_path / "dist" / "README.md").read_text()
    assert "says mit" in (tmp_path / "dist" / "bom.cdx.json").read_text()


def test_licences_of_a_merged_model(ada, tmp_path):
    """A file that has the base in it is under the licences of both; its card names the one that goes on."""
    base = write_model(tmp_path / "base.gguf", keys=[("general.license", "llama3.2")])
    (ada / "README.md").write_text("---\nlicense: mit\n---\n")
    out = tmp_path / "dist"
    ran = run("release", ada, "ada:1", "--base", base, "--merge", "--no-report", "--out", out)
    assert ran.code == 0, ran.stderr
    component = json.loads((out / "bom.cdx.json").read_text())["metadata"]["component"]
    assert component["licenses"] == [{"license": {"id": "MIT"}}, {"license": {"name": "llama3.2"}}]
    assert component["pedigree"]["ancestors"][0]["licenses"] == [{"license": {"name": "llama3.2"}}]
    card = (out / "README.md").read_text()
    assert 'license: "llama3.2"' in card
    assert 'base_model_relation: "finetune"' in card
    assert run("verify", out).code == 0


def test_licences_of_a_sum(ada, make_adapter, tiny_tag, tmp_path):
    """Adapters of different licences have none in common, and that is told; of one licence, it is that."""
    other, out = make_adapter("grace-lora", seed=5), tmp_path / "dist"
    words = ("release", ada, other, "--weight", "1", "--weight", "1", "--base", tiny_tag, "--no-report")
    for license_of_other, found in (("mit", ("mit", "")), ("gpl-3.0", ("", "under gpl-3.0 and mit"))):
        (ada / "README.md").write_text("---\nlicense: mit\n---\n")
        (other / "README.md").write_text(f"---\nlicense: {license_of_other}\n---\n")
        assert run(*words, "--out", out).code == 0
        record = json.loads((out / "release.json").read_text())["licenses"]
        assert (record["adapter"], record["conflict"].partition("adapters are ")[2]) == found


def test_dry_run(ada, tiny_tag, dist, tmp_path):
    """A plan says what would be made and replaced, with bytes, and writes nothing."""
    before = tree(tmp_path)
    ran = run("release", ada, "ada:2", "--base", tiny_tag, "--out", dist, "--dry-run")
    assert (ran.code, tree(tmp_path)) == (0, before)
    assert f"replaced in {dist}: {len(PAPERS)} files" in ran.stdout
    assert (
        run("release", ada, "ada:2", "--base", tiny_tag, "--out", dist, "--dry-run", "--json").document[
            "kind"
        ]
        == "plan"
    )


def test_nothing_of_the_training_leaks(trained, tiny_tag, tmp_path):  # noqa: F811
    """No token, no path, no host and no user of the run is in any file of its release."""
    call = (
        "release",
        trained,
        "ada:1",
        "--base",
        tiny_tag,
        "--out",
        tmp_path / "dist",
        "--prompt",
        "inherit",
    )
    ran = run(*call)
    assert ran.code == 0, ran.stderr
    assert BAIT
    assert baits_in(tmp_path / "dist", str(tmp_path)) == {}


def test_without_a_report(ada, tiny_tag, tmp_path):
    """A release without a report is whole."""
    assert run("release", ada, "ada:1", "--base", tiny_tag, "--out", tmp_path / "d", "--no-report").code == 0
    assert not (tmp_path / "d" / "report.html").exists()
    assert run("verify", tmp_path / "d").code == 0
    shutil.rmtree(tmp_path / "d")
