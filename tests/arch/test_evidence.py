"""What of each row was proved: the table in the package and the page in the docs, made from the records."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from archive import GOLDENS, names_of, unpacked
from asking import NO_BASE
from builds import NEAREST

from ollama_pack.arch.evidence import (
    CONVERTER,
    EVIDENCE_FILE,
    EVIDENCE_KINDS,
    LOGITS,
    Evidence,
    all_evidence,
    evidence_of,
)
from ollama_pack.arch.spec import find_targets
from ollama_pack.arch.table import all_archs, require_arch
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.lora.unsupported import RULES

BY_LOGITS, BY_CONVERTER = "archs-reference", "archs-foreign"
PEERS = GOLDENS / BY_LOGITS / "peer.json"
PAGE = Path(__file__).parents[2] / "docs" / "archs.md"
TSV = """\
# What was proved of each class, and when; written by `make goldens` from the records in tests/goldens.
# architecture, class, how, date of the record, modules
"""
HEAD = """# Architectures, and what was proved for each

## Proved by comparison with PEFT's logits

For each class, transformers made a tiny random model, PEFT added LoRA to its linear modules, and
llama.cpp's converter wrote the base as a GGUF file. The column *proved modules* names the kinds of
modules for which llama.cpp's logits with the converted file equal PEFT's, within 2 % of the change that
the adapter causes. This holds for each kind alone, and for all kinds together. `experts` means the routed
experts, which have an adapter of their own; it includes dense layers that PEFT treats as experts.
`ollama-pack archs NAME` also lists modules that were not measured, such as routers and embeddings. The
last column says what llama.cpp's own converter does with the adapter of the linear modules. `make logits`
repeats the measurements of ollama-pack, `make live` repeats them with the llama.cpp of an installed Ollama,
and `make reference` records the models again. `make test` repeats them with several builds of llama.cpp,
and checks this page.

| architecture | class | proved modules | recorded | llama.cpp's converter |
|---|---|---|---|---|
"""
BUILT = """
## Builds of llama.cpp

Each build below was asked about each adapter above: its probabilities of all next tokens, after each token of
the prompt, are compared with PEFT's, within the same 2 %. The builds are wheels of xllamacpp, which need no
compiler.

| build | nearest to | right | not answered |
|---|---|---|---|
"""
FOREIGN = """
## Proved by comparison with llama.cpp's converter

Most of these classes are not part of transformers. llama.cpp's converter was given a checkpoint of random
weights with the names and shapes of such a class, and it put every weight where the architecture table of
ollama-pack puts it. PhiMoE is part of transformers, but transformers and llama.cpp choose experts in
different ways, so that even the logits of the base differ.

| architecture | class | compared modules | recorded |
|---|---|---|---|
"""
UNRECORDED = """
## Classes that were not measured

Each of these classes has the same weights as a class above. It is another name of that class, or the
multimodal model that contains it: {}.
"""
REFUSED = """
## Unsupported modules

| architecture | modules | reason |
|---|---|---|
"""
WORDS = {"wrong": "**wrong**", "ignored": "**ignored**", "crash": "**crashes llama.cpp**"}


def class_of(folder: Path) -> dict[str, str]:
    return json.loads((folder / "class.json").read_text("utf-8"))


def place(folder: Path) -> tuple[int, str]:
    """Return where a record stands on the page: its row, then its name."""
    names = [arch.name for arch in all_archs()]
    return names.index(read_base_gguf(folder / "base.gguf").hparams.arch), folder.name


def by_logits(folder: Path) -> Evidence:
    """Return the proof in a record of logits."""
    with np.load(folder / "logits.npz") as records:
        kinds = sorted(set(records) - {"tokens", "base", "all"})
    about = class_of(folder)
    arch = read_base_gguf(folder / "base.gguf").hparams.arch
    return Evidence(arch, about["class"], LOGITS, about["recorded"], tuple(kinds))


def by_converter(folder: Path) -> Evidence:
    """Return the proof in a record of weights."""
    arch, about = require_arch(read_base_gguf(folder / "base.gguf").hparams.arch), class_of(folder)
    names = [name.removesuffix(".weight") for name in read_safetensors(folder / "weights.safetensors")]
    placed = {
        name.rpartition(".")[2]
        for name in names
        if (targets := find_targets(arch, name)) and not any(each.weight.unsupported for each in targets)
    }
    return Evidence(arch.name, about["class"], CONVERTER, about["recorded"], tuple(sorted(placed)))


NO_PEER = {"outcome": "not tried"}
LOGIT_ROWS, WEIGHT_ROWS = (
    sorted((unpacked(kind, name) for name in names_of(kind)), key=place) for kind in (BY_LOGITS, BY_CONVERTER)
)
RECORDED = (*map(by_logits, LOGIT_ROWS), *map(by_converter, WEIGHT_ROWS))


def in_order(recorded):
    """Return proofs in the order of the table of architectures."""
    places = [arch.name for arch in all_archs()]
    return sorted(recorded, key=lambda proof: (places.index(proof.arch), proof.way != LOGITS, proof.model))


def written() -> str:
    """Return the table in the package."""
    rows = [
        (*(each.arch, each.model, each.way, each.date), ", ".join(each.modules))
        for each in in_order(RECORDED)
    ]
    return TSV + "".join("\t".join(row) + "\n" for row in rows)


def page() -> str:
    """Return the page in the docs."""
    peers = json.loads(PEERS.read_text("utf-8"))
    logits = "".join(
        f"{line(proof)} {peer(peers.get(folder.name, NO_PEER))} |\n"
        for folder, proof in zip(LOGIT_ROWS, map(by_logits, LOGIT_ROWS), strict=True)
    )
    weights = "".join(f"{line(by_converter(folder))}\n" for folder in WEIGHT_ROWS)
    recorded = {proof.model for proof in RECORDED}
    others = dict.fromkeys(name for arch in all_archs() for name in arch.hf_classes if name not in recorded)
    return (
        HEAD
        + logits
        + BUILT
        + builds()
        + FOREIGN
        + weights
        + UNRECORDED.format(", ".join(others))
        + REFUSED
        + refused()
    )


def line(proof: Evidence) -> str:
    """Return a row of the page."""
    return f"| `{proof.arch}` | {proof.model} | {', '.join(proof.modules)} | {proof.date} |"


def peer(record) -> str:
    """Return what became of the adapter in llama.cpp's own converter, and in its runtime after that."""
    return WORDS.get(record["outcome"], record["outcome"])


def builds() -> str:
    """Return what each prebuilt build of llama.cpp does with the records."""
    recorded = json.loads((GOLDENS / BY_LOGITS / "builds.json").read_text("utf-8"))
    assert list(recorded) == list(NEAREST), "make goldens asks the builds"
    lines = []
    for build, nearest in NEAREST.items():
        stops = [
            f"{said} {'of ' if said == NO_BASE else f'on {some(kinds)} of '}`{row}`"
            for row, found in recorded[build].items()
            for said, kinds in found.items()
        ]
        right = f"{len(LOGIT_ROWS) - len(recorded[build])} of {len(LOGIT_ROWS)}"
        lines.append(f"| {build} | {nearest} | {right} | {'; '.join(stops) or 'none'} |\n")
    return "".join(lines)


def some(kinds: list[str]) -> str:
    """Return kinds of modules; all of them together say nothing that the others do not."""
    return ", ".join(kind for kind in kinds if kind != "all")


def refused() -> str:
    """Return the weights no LoRA can be on, by the rule that says why."""
    found: dict[tuple[str, str], list[str]] = {}
    for arch in all_archs():
        for weight in arch.weights:
            if weight.unsupported:
                parts = weight.module.split(".")[-2 if weight.has_experts else -1 :]
                found.setdefault((arch.name, weight.unsupported), []).append(".".join(parts))
    return "".join(
        f"| `{arch}` | {', '.join(dict.fromkeys(modules))} | {RULES[rule].feature}: {RULES[rule].reason} |\n"
        for (arch, rule), modules in found.items()
    )


@pytest.mark.parametrize(
    ("path", "make"), [(EVIDENCE_FILE, written), (PAGE, page)], ids=["the package", "the docs"]
)
def test_golden(request, path, make):
    """The table and the page say what is recorded, of every row."""
    if request.config.getoption("--update-goldens"):
        path.write_text(make(), "utf-8", newline="\n")
    assert path.read_text("utf-8") == make()


def test_readme_counts():
    """README counts what became of the recorded adapters in llama.cpp's converter as the records do."""
    readme = " ".join((PAGE.parents[1] / "README.md").read_text("utf-8").split())
    outcomes = Counter(record["outcome"] for record in json.loads(PEERS.read_text("utf-8")).values())
    counts = (
        "converts {right} correctly, cannot convert {convert error}, writes {load error} files that do "
        "not load, and writes {wrong} files that are wrong without a warning."
    )
    start = f"Of the {len(LOGIT_ROWS)} adapters recorded there, llama.cpp's own converter"
    assert f"{start} {counts.format(**outcomes)}" in readme
    assert sum(outcomes.values()) == len(LOGIT_ROWS), "run tests/reference/peer_archs.py for what is missing"


@pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)
def test_every_row_is_proved(arch):
    """No row is in the table without a record, and every record is of one of its classes."""
    found = evidence_of(arch.name)
    assert found, f"record {arch.name}: see CONTRIBUTING.md, Add an architecture"
    assert {proof.model for proof in found} <= set(arch.hf_classes)
    assert all(proof.way in EVIDENCE_KINDS and proof.modules for proof in found)


NOT_LINEAR = {
    *("ssm_conv1d", "ssm_a", "ssm_d", "shortconv.conv", "position_embd", "rope_freqs", "attn_sinks"),
    *("altup_proj", "altup_unembd_proj", "per_layer_token_embd", "token_types"),
}
"""Tensors of two dimensions or more that no linear module has, or that only a stack of numbered ones has."""


def kinds_of(folder: Path) -> set[str]:
    """Return what the weights of a recorded base are, without their blocks."""
    shapes = read_gguf(folder / "base.gguf").shapes
    names = {
        name.removesuffix(".weight")
        for name, shape in shapes.items()
        if len(shape) > 1 and not name.endswith(".bias")
    }
    return {re.sub(r"^blk\.\d+\.", "", name) for name in names if "norm" not in name} - NOT_LINEAR


@pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)
def test_every_weight_has_its_line(arch):
    """Each weight of the recorded bases is in the row, and each tensor of the row is in one of them."""
    recorded = {
        kind
        for folder in (*LOGIT_ROWS, *WEIGHT_ROWS)
        if read_base_gguf(folder / "base.gguf").hparams.arch == arch.name
        for kind in kinds_of(folder)
    }
    lines = {weight.tensor.removeprefix("blk.{i}.") for weight in arch.weights if not weight.unsupported}
    lines |= {weight.dense_tensor.removeprefix("blk.{i}.") for weight in arch.weights if weight.dense_tensor}
    refused = {weight.tensor.removeprefix("blk.{i}.") for weight in arch.weights if weight.unsupported}
    missing = recorded - lines - refused - SPLIT_BY_CONVERTER - UNTRAINABLE.get(arch.name, set())
    assert not missing, f"{arch.name} has no line for {missing}"
    strange = lines - recorded - TIED - UNRECORDED_LINES.get(arch.name, set())
    assert not strange, f"no recorded base of {arch.name} has {strange}: misspelt, or record one that has"


TIED = {"output"}
UNTRAINABLE = {"dbrx": {"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"}}
"""Row → weights that PEFT cannot train."""

SPLIT_BY_CONVERTER = {"attn_k_b", "attn_v_b"}
"""What the converter makes of DeepSeek's kv_b_proj, which is refused."""

UNRECORDED_LINES = {
    "hy_v3": {"ffn_gate", "ffn_up", "ffn_down"},
    "nemotron_h_moe": {"ffn_up", "ffn_down"},
}
"""Row → tensors of its lines that only other models of its classes have: with some layers dense."""


def test_the_package_has_what_is_recorded():
    """The table is read as it was written."""
    assert list(all_evidence()) == in_order(RECORDED)
