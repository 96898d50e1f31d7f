"""What leaves a machine: the adapter, the prompt, and nothing of how or where it was trained."""

import json
import pickle
from pathlib import Path

import pytest
from terminal import run
from training_run import write_run

BAIT = (
    "zanzibar-host",
    "mallory-user",
    "/home/mallory",
    "hf_BaItToKeN",
    "run-4711-id",
    "wandb.ai/mallory",
    "D:\\secret",
)


@pytest.fixture
def trained(tmp_path):
    """Return a run that is full of what nobody should see, wherever a trainer may write it."""
    base = "/home/mallory/models/zanzibar-host/base"
    config = {
        "base_model_name_or_path": base,
        "revision": "run-4711-id",
        "auto_mapping": {"parent_library": "D:\\secret", "base_model_class": f"mallory-user {BAIT[3]}"},
    }
    run_of_mallory = write_run(tmp_path / "ada-lora", config=config)
    for place in (run_of_mallory, *run_of_mallory.glob("checkpoint-*")):
        _add_bait(place)
    return run_of_mallory


def _add_bait(place: Path) -> None:
    text = "\n".join(BAIT)
    (place / "README.md").write_text(f"---\nbase_model: {BAIT[2]}/base\ntags: [{BAIT[4]}]\n---\n{text}\n")
    (place / "training_args.bin").write_bytes(pickle.dumps(dict.fromkeys(BAIT)))
    for name in (
        "trainer_state.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "all_results.json",
    ):
        path = place / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, "name_or_path": f"{BAIT[2]}/x", "trial_params": list(BAIT)}))
    (place / "chat_template.jinja").write_text(text)
    tokens = {token: number for number, token in enumerate(BAIT)}
    (place / "tokenizer.json").write_text(json.dumps({"model": {"vocab": tokens}}))
    path = place / "adapter_model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = {"format": "pt", "host": BAIT[0], "user": BAIT[1], "run": BAIT[4]}
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    path.write_bytes(len(told).to_bytes(8, "little") + told + content[8 + length :])


def bytes_below(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, and its name as bytes too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def baits_in(folder: Path, *more: str) -> dict[str, list[str]]:
    """Return what of the bait lies in which file below a folder, in any of three encodings."""
    found = {}
    for name, content in bytes_below(folder).items():
        whole = content + name.encode()
        hits = [
            bait
            for bait in (*BAIT, *more)
            if any(bait.encode(encoding) in whole for encoding in ("utf-8", "utf-16-le"))
            or json.dumps(bait)[1:-1].encode() in whole
        ]
        if hits:
            found[name] = hits
    return found


# The chat template of the run is bait, so no prompt is like what it makes.
OK = ("--base-mismatch-ok", "tokens", "--base-mismatch-ok", "added-tokens", "--prompt", "inherit")


def test_the_bait_is_found(trained):
    """The test would see it: every kind of bait lies in the run."""
    found = baits_in(trained)
    assert {bait for hits in found.values() for bait in hits} == set(BAIT)
    assert {"adapter_config.json", "README.md", "adapter_model.safetensors"} <= found.keys()


def test_folder(trained, tiny_gguf, models, tmp_path):
    """A folder to be passed on has nothing of it; nor has the lock, nor what Ollama's store would hold."""
    from terminal import add_base

    add_base(models, tiny_gguf, "tiny", "latest")
    ran = run("build", trained, "--base", "tiny", "--via", "folder", "--out", tmp_path / "release", *OK)
    assert ran.code == 0, ran.stderr
    assert {"adapter_model.gguf", "Modelfile.txt", "ollama-pack.lock"} <= bytes_below(
        tmp_path / "release"
    ).keys()
    assert baits_in(tmp_path / "release", str(tmp_path)) == {}


@pytest.mark.parametrize("more", [(), ("--checkpoint", "all")], ids=["root", "checkpoints"])
def test_store(trained, tiny_gguf, models, more, tmp_path):
    """A model in a store, which can be pushed, has nothing of it, and no path of a base that was a file."""
    ran = run("build", trained, "--base", tiny_gguf, "--via", "store", "--out", tmp_path / "out", *more, *OK)
    assert ran.code == 0, ran.stderr
    assert len(bytes_below(models)) >= 4
    assert baits_in(models, str(tmp_path), str(tiny_gguf.parent)) == {}


def test_a_base_that_is_a_file(trained, tiny_gguf, tmp_path):
    """Its way stands in the Modelfile, because Ollama must find it, and nowhere else."""
    ran = run("build", trained, "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "release", *OK)
    assert ran.code == 0, ran.stderr
    assert baits_in(tmp_path / "release") == {}
    lock = (tmp_path / "release" / "ollama-pack.lock").read_text()
    assert str(tiny_gguf.parent) not in lock
