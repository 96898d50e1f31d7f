"""One walk: a build looks at each directory once, opens each file as often as it must, and decides once."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from recipes import write_adapter, write_model
from terminal import add_base

from ollama_pack.base.digest_memory import SETTLED_SECONDS
from ollama_pack.pipeline import request
from ollama_pack.pipeline.request import ACCEPTABLE_MISMATCHES, Request

CHILD = Path(__file__).with_name("count_build.py")
ADAPTER = "ada-lora"


def write_all(folder):
    """Write an adapter with a Modelfile, a tokenizer and a base; return the words that name them."""
    adapter = write_adapter(folder / ADAPTER, config={"base_model_name_or_path": "tests/tiny"})
    write_adapter(adapter / "style")
    write_adapter(adapter / "checkpoint-3")
    (adapter / "Modelfile.txt").write_text("FROM x\nSYSTEM Be Ada.\n")
    (adapter / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"<s>": 1}}}))
    base = write_model(folder / "base.gguf")
    time.sleep(SETTLED_SECONDS)  # a base that is younger may change without another time
    return str(adapter), "--base", str(base)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder and the counts of a build into a store."""
    folder = tmp_path_factory.mktemp("walk")
    where = ("--via", "store", "--store", str(folder / "models"), "--out", str(folder / "out"))
    return folder, run(folder, "build", *write_all(folder), *where, "-q")


def run(folder, *asked):
    """Run a command in a process of its own, and return what it counted."""
    ran = subprocess.run(
        [sys.executable, CHILD, folder, *asked],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "OLLAMA_HOST": "127.0.0.1:9",
            "HF_HUB_CACHE": str(folder / "hub"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        },
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def counted(built):
    """Return the counts of the build."""
    return built[1]


def test_each_directory_is_scanned_once(counted):
    """The adapter's directory and those below it are scanned when it is resolved, and not again."""
    scans = {name: count for name, count in counted["scans"].items() if name.startswith(ADAPTER)}
    assert scans == {ADAPTER: 1, f"{ADAPTER}/style": 1}


def test_each_file_is_opened_once(counted):
    """What the author wrote is opened once, what is recorded once more, a base for each pass."""
    opens = counted["opens"]
    texts = ("Modelfile.txt", "adapter_config.json", "tokenizer.json")
    assert [opens[f"{ADAPTER}/{name}"] for name in texts] == [1, 2, 1]
    assert opens["base.gguf"] == 3, "its header, its digest, its clone"


@pytest.mark.skipif(os.name != "posix", reason="NOT TESTED: nothing is remembered on this system")
def test_another_build_does_not_read_the_base_for_its_digest(built):
    """The digest of a base is remembered by deliveries; what proves it reads the base all the same."""
    folder, _ = built
    store, base = ("--store", str(folder / "models")), ("--base", str(folder / "base.gguf"))
    again = run(folder, "build", str(folder / ADAPTER), "again", *base, "--via", "store", *store, "-q")
    assert again["opens"]["base.gguf"] == 1, "its header"
    strict = (
        "--strict",
        *(f"--base-mismatch-ok={code}" for code in ACCEPTABLE_MISMATCHES if code != "moved"),
    )
    again = run(
        folder, "build", str(folder / ADAPTER), "again", *base, "--via", "store", *store, "-q", *strict
    )
    assert again["opens"]["base.gguf"] == 2, "its header, and its digest to prove that it has not moved"
    proof = run(folder, "verify", str(folder / "out"), *store, "-q")
    assert proof["opens"]["base.gguf"] == 2, "its header, and its digest"


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """Return the counts of a build into a store that merges."""
    folder = tmp_path_factory.mktemp("merged")
    where = ("--via", "store", "--store", str(folder / "models"), "--out", str(folder / "out"))
    return run(folder, "build", *write_all(folder), "--merge", *where, "-q")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return the counts of a release, whose base is in a store."""
    folder = tmp_path_factory.mktemp("released")
    adapter, _, base = write_all(folder)
    add_base(folder / "models", Path(base), "tiny", "latest")
    where = ("--store", str(folder / "models"), "--out", str(folder / "out"))
    return run(folder, "release", adapter, "--base", "tiny", *where, "-q")


def test_a_release_learns_each_thing_once(released):
    """Record and report are made of what the build learned; only the proofs read anew."""
    calls = released["calls"]
    expected = dict.fromkeys(ONCE, 1)
    expected["split.read_parts"] = 3  # the build, the proof of the base, the proof of the prompts
    expected["locations.locations_from"] = expected["tokenizer.read_tokenizer"] = 2  # the build, the proofs
    assert {name: calls.get(name, 0) for name in ONCE} == expected


def test_a_release_scans_what_it_lists(released):
    """The run is scanned to be resolved, to be listed in the report, and for the digest of its files."""
    scans = {name: count for name, count in released["scans"].items() if name.startswith(ADAPTER)}
    assert scans == {ADAPTER: 4, f"{ADAPTER}/style": 3, f"{ADAPTER}/checkpoint-3": 3}


def test_a_merge_learns_each_thing_once(merged):
    """What the merge, the lock and the delivery need of a file is read once, and carried."""
    calls = merged["calls"]
    once = [name for name in ONCE if name != "split.read_parts"]
    assert {name: calls.get(name, 0) for name in once} == dict.fromkeys(once, 1)
    assert calls["split.read_parts"] == 3, "the base, the base for the proof, the merged file"
    assert calls["parser.parse"] == 2, "the author's Modelfile, and its edit"


def test_a_merge_digests_each_file_once(merged):
    """What two records name is digested once; the merged file is digested while it is written."""
    digested = Counter(Path(name).name for name in merged["digested"])
    assert digested == {"adapter_config.json": 1, "adapter_model.safetensors": 1}, "a thread digests the base"
    assert merged["opens"]["out/merged_model.gguf"] == 2, "its header, its clone"


def test_a_merge_scans_each_directory_once(merged):
    """The adapter's directory and those below it are scanned when it is resolved, and not again."""
    scans = {name: count for name, count in merged["scans"].items() if name.startswith(ADAPTER)}
    assert scans == {ADAPTER: 1, f"{ADAPTER}/style": 1}


ONCE = (
    *("inputs.resolve_inputs", "directory.resolve_directory", "locations.locations_from"),
    *("load.load_adapter", "tokenizer.read_tokenizer", "planner.plan_lora"),
    *("tensor_mapping.map_pairs_to_tensors", "split.read_parts", "base.compare_base"),
)


def test_each_decision_is_made_once(counted):
    """Everything that is learned or decided is made once and carried to the delivery."""
    assert {name: counted["calls"].get(name, 0) for name in ONCE} == dict.fromkeys(ONCE, 1)


def test_how_often_a_modelfile_is_parsed(counted):
    """The author's Modelfile is parsed when it is read, then both edits; `inherit` is not filled for it."""
    assert counted["calls"]["parser.parse"] == 3


def test_weights_are_opened_for_each_pass(counted):
    """The weights are opened twice for their header, then for each pass: check, writing, proof, digest."""
    assert counted["opens"][f"{ADAPTER}/adapter_model.safetensors"] <= 2 + 4 + 1, (
        "the proof may have two threads"
    )


def test_a_request_is_a_plain_value():
    """A request computes nothing: all it has beside its fields is the list of its directories."""
    computed = [name for name, value in vars(Request).items() if isinstance(value, property)]
    assert computed == ["directories"]
    source = Path(request.__file__).read_text("utf-8")
    assert not re.search(r"\bos\b|environ|exists\(|is_dir|glob\(|resolve\(", source)
