"""``--merge-size``: the size is kept, and what is kept grows with it."""

import itertools

import pytest
from following import hint_of, succeeds
from ggml_builds import hide_ggml
from recipes import TINY, resized, write_adapter, write_model
from terminal import run
from test_kept import quantise

WIDE = resized(TINY, hidden=64, feed_forward=96, head_dim=32, heads=2, kv_heads=2)


@pytest.fixture
def wide(tmp_path, monkeypatch):
    """Return the words of a merge into a base of Q4_0, and where the file goes."""
    hide_ggml(monkeypatch)
    write_model(tmp_path / "f32.gguf", WIDE)
    quantise(tmp_path / "f32.gguf", tmp_path / "base.gguf")
    adapter = write_adapter(tmp_path / "ada-lora", base=WIDE, alpha=1)
    return ("merge", adapter, "--base", tmp_path / "base.gguf", "--out", tmp_path / "merged.gguf")


def sizes_of(words) -> dict[str, int]:
    """Return type → size of the file with all weights in it."""
    found = {}
    for kind in ("same", "q8_0", "f16"):
        ran = run(*words, "--merge-type", kind, "--min-kept", "0", "--json")
        found[kind] = ran.document["merged"]["size"]
    return found


def off(document) -> float:
    """Return how far a merged file is from ΔW, relative to ΔW, by the figures of the proof."""
    kept = document["merged"]["kept"]
    return kept["noise"] / kept["relative"]


def test_more_bytes_keep_more(wide):
    """Each file is within its size, and better than one type for all of that size and than a smaller one."""
    sizes = sizes_of(wide)
    between = [sizes["same"] + 3000, (sizes["same"] + sizes["q8_0"]) // 2, sizes["q8_0"] + 9000]
    found = []
    for size in (*between, 2 * sizes["f16"]):
        ran = run(*wide, "--merge-size", str(size), "--json")
        assert ran.code == 0, ran.stderr
        merged = ran.document["merged"]
        assert merged["size"] <= size
        assert all(point["size"] > 0 and point["off"] >= 0 for point in merged["frontier"])
        measured = [point["off"] for point in merged["frontier"]]
        assert measured == sorted(measured, reverse=True)
        found.append(off(ran.document))
    assert {each["types"] for each in merged["weights"]} == {"Q4_0 → F16"}
    assert all(better < worse for worse, better in itertools.pairwise(found))
    assert off(run(*wide, "--merge-type", "q8_0", "--json").document) > found[2]
    assert found[1] < off(run(*wide, "--merge-type", "same", "--json").document)


def test_the_figures_are_those_of_the_proof(wide):
    """What was measured on some rows is what the proof finds: these weights are measured whole."""
    ran = run(*wide, "--merge-size", "1GB", "--json")
    assert ran.document["merged"]["frontier"][-1]["off"] == pytest.approx(off(ran.document), rel=1e-3)
    assert "off by" in run(*wide, "--merge-size", "1GB").stderr


def test_too_small(wide):
    """A size that no file keeps the change in names the smallest, which is enough."""
    hint = hint_of(*wide, "--merge-size", "1kB", code="too-small")
    succeeds(*wide, *hint.split())


def test_a_type_too(wide):
    """A size and a type contradict each other."""
    words = ("--merge-size", "1GB")
    hint = hint_of(*wide, *words, "--merge-type", "f16", code="bad-option")
    assert hint == "--merge-size without --merge-type"
    succeeds(*wide, *words)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4.4GB", 4_400_000_000), ("900M", 900_000_000), ("4GiB", 4 << 30), ("12345", 12345), ("1.5 kb", 1500)],
)
def test_sizes(text, size):
    """Sizes are decimal unless they say otherwise."""
    from ollama_pack.cli.option_values import byte_count

    assert byte_count(None, None, text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1e9", "4.4.4GB", "4iB", "nan", "4XB"])
def test_what_is_no_size(wide, text):
    """A size that is none is a wrong use of the option."""
    ran = run(*wide, "--merge-size", text)
    assert ran.code == 2
    assert "is not a size" in ran.stderr


def test_a_dry_run(wide):
    """A plan has the size that the file will have."""
    words = ("build", wide[1], "--base", wide[3], "--merge", "--merge-size", "1GB", "--via", "folder")
    planned = run(*words, "--out", wide[5].parent / "out", "--dry-run", "--json").document["delivery"][
        "items"
    ]
    built = run(*words, "--out", wide[5].parent / "out", "--json").document["merged"]
    assert built["size"] in [item["bytes"] for item in planned]
