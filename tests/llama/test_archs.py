"""Every row of the table, by llama.cpp's own answer: what PEFT computes, for each module by itself.

The truth is recorded by ``tests/reference/record_archs.py``: one adapter a row, PEFT's logits for all of its
modules and for each kind alone, on a base that llama.cpp's own converter wrote.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from archive import GOLDENS, names_of, unpacked
from asking import NO_BASE, Answer, Logits
from builds import NEWEST
from recipes import resized

from ollama_pack.arch.spec import dimension
from ollama_pack.arch.table import all_archs, require_arch
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.hf_config import read_config
from ollama_pack.base.model import BaseModel
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.verify.numbers import prove_numbers

RECORDS = "archs-reference"
ROWS = names_of(RECORDS)
BUILDS = GOLDENS / RECORDS / "builds.json"
"""Prebuilt build → record → what it does instead of answering → the kinds of modules that it does it for."""

ALL, EXPERTS = "all", "experts"
LIMIT = 0.02
"""Largest difference from PEFT's logits, in units of what the adapter changes; f16 rounds the factors."""

pytestmark = pytest.mark.llama


def kinds_of(row: str) -> list[str]:
    """Return what was recorded of a row: each kind of module by itself, and all of them."""
    with np.load(unpacked(RECORDS, row) / "logits.npz") as records:
        return sorted(set(records) - {"tokens", "base"})


def read_base(row: str) -> BaseModel:
    """Return the base of a row by its header, and what only config.json says."""
    folder = unpacked(RECORDS, row)
    base = read_base_gguf(folder / "base.gguf")
    return resized(base, multipliers=read_config(folder).base().hparams.multipliers)


CASES = [(row, kind) for row in ROWS for kind in kinds_of(row)]


@dataclass(frozen=True)
class Answers:
    """Records of one row, and what llama.cpp says: kind → logits; the base under ``base``."""

    truth: dict[str, np.ndarray]
    found: dict[str, Answer]

    def effect(self, kind: str) -> float:
        """Return the largest change of the answer, as PEFT has it."""
        return float(np.abs(self.truth[kind] - self.truth["base"]).max())

    @property
    def noise(self) -> float:
        """Return the largest difference of the bare base's answer from PEFT's."""
        return float(np.abs(self.found["base"] - self.truth["base"]).max())

    def stopped(self) -> dict[str, list[str]]:
        """Return what llama.cpp does instead of answering → the kinds of modules that it does it for."""
        why = {kind: said for kind, said in self.found.items() if isinstance(said, str)}
        return {said: sorted(kind for kind in why if why[kind] == said) for said in sorted(set(why.values()))}

    def is_right(self, kind: str) -> bool:
        """Return whether the answer is PEFT's."""
        return bool(np.abs(self.found[kind] - self.truth[kind]).max() <= LIMIT * self.effect(kind))


@pytest.fixture(scope="session")
def loras(tmp_path_factory):
    """Return row → kind of modules → the file that is written for it."""
    kept: dict[str, dict[str, Path]] = {}

    def write(row: str) -> dict[str, Path]:
        if row not in kept:
            folder, scratch = unpacked(RECORDS, row), tmp_path_factory.mktemp(row)
            adapter, base = read_adapter(folder), read_base(row)
            for kind in kinds_of(row):
                pairs = [pair for pair in adapter.pairs if kind in (ALL, pair.module.rpartition(".")[2])]
                mine = replace(adapter, pairs=tuple(pairs))
                plan = plan_lora(read_adapter(folder / EXPERTS) if kind == EXPERTS else mine, base)
                write_lora(plan, scratch / f"{kind}.gguf", "f16")
            kept[row] = {kind: scratch / f"{kind}.gguf" for kind in kinds_of(row)}
        return kept[row]

    return write


@pytest.fixture(scope="session")
def answers(llama, ask_llama, loras):
    """Return row → records and answers; llama.cpp is started once a row."""
    kept: dict[str, Answers] = {}

    def look(row: str) -> Answers:
        if row not in kept:
            folder, files = unpacked(RECORDS, row), loras(row)
            truth = llama.truth(folder / "logits.npz")
            bare, *found = ask_llama(folder / "base.gguf", truth["tokens"], [None, *files.values()])
            kept[row] = Answers(truth, {"base": bare, **dict(zip(files, found, strict=True))})
        return kept[row]

    return look


def expected_stops(name: str, row: str) -> dict[str, list[str]]:
    """Return what a llama.cpp is known to do instead of answering → the kinds that it does it for."""
    if name == Logits.name:
        return {}
    return json.loads(BUILDS.read_text("utf-8")).get(name, {}).get(row, {})


@pytest.mark.parametrize("row", ROWS)
def test_the_yardstick_is_straight(llama, answers, row):
    """The bare base's answer differs far less than any adapter changes it, if the build loads it."""
    seen = answers(row)
    if isinstance(seen.found["base"], str):
        assert "base" in expected_stops(llama.name, row).get(NO_BASE, [])
        return
    assert seen.noise < LIMIT / 4 * min(seen.effect(kind) for kind in kinds_of(row))


@pytest.mark.parametrize(("row", "kind"), CASES)
def test_each_module_computes_what_peft_computes(llama, answers, row, kind):
    """For every kind of module by itself and for all together, so that one wrong module cannot hide.

    Where a build is known to stop, it must stop: what docs/archs.md says of it is true.
    """
    seen = answers(row)
    known = [said for said, kinds in expected_stops(llama.name, row).items() if kind in kinds]
    if known or isinstance(seen.found[kind], str):
        assert [seen.found[kind]] == known
    else:
        assert seen.is_right(kind)


def test_builds_golden(llama, answers, request):
    """What each prebuilt build does not run is recorded, and docs/archs.md is made of the record."""
    if llama.name == Logits.name:
        return
    found = {row: stops for row in ROWS if (stops := answers(row).stopped())}
    recorded = json.loads(BUILDS.read_text("utf-8")) if BUILDS.exists() else {}
    if request.config.getoption("--update-goldens"):
        recorded[llama.name] = found
        BUILDS.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n", "utf-8")
    assert recorded[llama.name] == found


def test_the_newest_build_runs_every_record():
    """No record is without a build that answers rightly."""
    assert json.loads(BUILDS.read_text("utf-8"))[NEWEST] == {}


@pytest.mark.parametrize("row", ROWS)
def test_numbers_proof(row, tmp_path):
    """The proof of the numbers passes what llama.cpp confirms, from the header and from config.json."""
    folder = unpacked(RECORDS, row)
    for base in (read_base(row), read_config(folder).base()):
        for adapter in (read_adapter(folder), *map(read_adapter, folder.glob(EXPERTS))):
            write_lora(plan_lora(adapter, base), tmp_path / "lora.gguf", "f16")
            report = prove_numbers(adapter, base, tmp_path / "lora.gguf")
            assert report.passed, report.summary


@pytest.mark.parametrize("row", ROWS)
def test_config_and_header_agree(row):
    """config.json of a model tells the same numbers as the header of its GGUF file."""
    header, config = read_base(row), read_config(unpacked(RECORDS, row)).base()
    heads = ("heads", "kv_heads", "head_dim") if require_arch(header.hparams.arch).has_heads else ()
    for name in ("arch", "blocks", "hidden", "vocab", "experts", "tied", *heads):
        assert getattr(config.hparams, name) == getattr(header.hparams, name), name
    for size in {size for weight in require_arch(header.hparams.arch).weights for size in weight.shape}:
        told = dimension(size, config.hparams)
        assert told == dimension(size, header.hparams) or 0 in (told, dimension(size, header.hparams)), size


@pytest.mark.parametrize("row", ROWS)
def test_config_is_enough(row):
    """From config.json alone the adapter has the same plan as from the header: its sizes are right."""
    folder = unpacked(RECORDS, row)
    header, config = read_base(row), read_config(folder).base()
    for adapter in (read_adapter(folder), *map(read_adapter, folder.glob(EXPERTS))):
        planned, told = plan_lora(adapter, header), plan_lora(adapter, config)
        assert [(tensor.name, tensor.rows, tensor.factor) for tensor in told.tensors] == [
            (tensor.name, tensor.rows, tensor.factor) for tensor in planned.tensors
        ]


def test_what_is_recorded():
    """Every record is of a row of the table."""
    names = {read_base_gguf(unpacked(RECORDS, row) / "base.gguf").hparams.arch for row in ROWS}
    assert names <= {arch.name for arch in all_archs()}
    assert len(names) >= 20


def test_a_row_without_an_order_is_seen(answers, ask_llama, tmp_path):
    """With q, k and v as Hugging Face has them the answer is far from PEFT's: the test would fail."""
    row = "falcon"
    folder = unpacked(RECORDS, row)
    adapter, base = read_adapter(folder), read_base_gguf(folder / "base.gguf")
    plan = plan_lora(adapter, base)
    wrong = replace(plan, tensors=tuple(tensor._replace(rows=None) for tensor in plan.tensors))
    write_lora(wrong, tmp_path / "wrong.gguf", "f16")
    seen = answers(row)
    (logits,) = ask_llama(folder / "base.gguf", seen.truth["tokens"], [tmp_path / "wrong.gguf"])
    assert np.abs(logits - seen.truth[ALL]).max() > 5 * LIMIT * seen.effect(ALL)
