"""A merged GGUF computes what PEFT computes with the adapter: every kind, and every row of the table.

The bases are float32, so what is compared is the merge alone and no rounding of a quantised type.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from archive import names_of, unpacked
from asking import Logits, only_last
from builds import NEWEST
from judging import RECORDS, TORCH
from kinds import KINDS, RIGHT
from test_archs import EXPERTS, read_base
from test_archs import RECORDS as ARCH_RECORDS

from ollama_pack.base.model import BaseModel
from ollama_pack.gguf.split import read_parts
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.beside import plan_beside
from ollama_pack.lora.peft.directory import resolve_directory
from ollama_pack.lora.peft.load import load_adapter, read_adapter
from ollama_pack.lora.plan import LoraPlan
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.replication import replicated_layers
from ollama_pack.lora.vocabulary import into_base
from ollama_pack.merge.by_peft import plan_by_peft
from ollama_pack.merge.keys import MergeLabels
from ollama_pack.merge.plan import plan_merge
from ollama_pack.merge.write import write_merged
from ollama_pack.verify.merged import prove_merged

MERGED_RECORDS = "merged"
LIMIT = 0.02
"""Largest difference from PEFT's logits, in units of what the adapter changes."""

EXACT = 1e-4
"""The same for what only merging holds: the figures are those of float32."""

BUILDS = [NEWEST, pytest.param(Logits.name, marks=pytest.mark.logits)]
"""Those that are asked: a merged file is read as its base is, about which every build is asked."""

MODELS = sorted({kind.model for kind in KINDS if kind.verdict == RIGHT})
PAIRS = [
    *((NEWEST, model) for model in MODELS if model != "smollm2"),  # which takes seconds for each kind
    *(pytest.param(Logits.name, model, marks=pytest.mark.logits) for model in MODELS),
]

pytestmark = pytest.mark.llama


def write(plan: LoraPlan, base: BaseModel, adapter: Adapter, path: Path) -> Path:
    """Merge, prove, and return the file."""
    assert base.gguf is not None
    whole, layers = into_base(base, adapter, None), replicated_layers(adapter, base)
    labels = MergeLabels(own_head=whole is not base and not layers, layers=layers)
    rows = (*plan_beside(adapter, whole), *plan_by_peft(adapter, whole))
    write_merged(plan_merge(read_parts(base.gguf), plan, "auto", rows, labels=labels), path)
    report = prove_merged(adapter, base, path)
    assert report.result.passed, report.result.summary
    assert abs(report.total.gain - 1) < 1e-3
    return path


def mergeable(model: str) -> list:
    kinds = [kind for kind in KINDS if (kind.model, kind.verdict) == (model, RIGHT)]
    return [kind for kind in kinds if (TORCH or kind.case != "bin") and "alora" not in kind.case]


@pytest.mark.parametrize(("llama", "model"), PAIRS, indirect=["llama"])
def test_kinds(judge_kinds, ask_llama, settled, tmp_path, model):
    """Every kind of adapter that is converted is merged too, with PEFT's logits."""
    judged = judge_kinds(model)
    asked: dict[str, list] = {}
    for kind in mergeable(model):
        tokens = f"tokens:{kind.case}"
        asked.setdefault(tokens if tokens in judged.truth else "tokens", []).append(kind)
    for tokens, kinds in asked.items():
        for kind in kinds:  # one at a time: a real base is large
            work = settled(kind)
            path = write(work.plan, work.base, work.adapter, tmp_path / "merged.gguf")
            last = only_last(kind.case, judged.truth)
            (logits,) = ask_llama(work.base.gguf, judged.truth[tokens], [], merged=[path], last=last)
            miss = np.abs(judged.seen(logits) - judged.truth[kind.case]).max() / judged.effect(kind.case)
            assert miss <= LIMIT, kind.case


@pytest.mark.usefixtures("recorded_peft")
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.merges and not kind.resized], ids=lambda kind: kind.case
)
def test_what_only_merging_holds(llama, ask_llama, settled, tmp_path, kind):
    """DoRA, whole weights, norms, biases, tokens and what PEFT merges itself are what PEFT computes."""
    work = settled(replace(kind, asked={**kind.asked, "merge": True}))
    truth = llama.truth(unpacked(RECORDS, kind.model) / "logits.npz")
    path = write(work.plan, work.base, work.adapter, tmp_path / "merged.gguf")
    bare, logits = ask_llama(work.base.gguf, truth["tokens"], [None], merged=[path])
    effect = np.abs(truth[kind.case] - truth["base"]).max()
    noise = np.abs(bare - truth["base"]).max()  # GPT-2 computes in half precision somewhere
    assert np.abs(logits - truth[kind.case]).max() <= max(EXACT * effect, 4 * noise)
    assert noise < LIMIT * effect


@pytest.mark.parametrize("row", names_of(MERGED_RECORDS))
def test_norms_of_each_family(llama, ask_llama, tmp_path, row):
    """Norms come in the form of their family, and DoRA in the row orders of each architecture."""
    base, folder = read_base(row), unpacked(MERGED_RECORDS, row)
    truth = llama.truth(folder / "logits.npz")
    adapter = load_adapter(resolve_directory(folder, ""), merging=True)
    path = write(plan_lora(adapter, base), base, adapter, tmp_path / "merged.gguf")
    bare, logits = ask_llama(base.gguf, truth["tokens"], [None], merged=[path])
    effect = np.abs(truth["all"] - truth["base"]).max()
    noise = np.abs(bare - truth["base"]).max()  # some families compute in half precision somewhere
    assert np.abs(logits - truth["all"]).max() <= max(EXACT * effect, 4 * noise)
    assert noise < LIMIT * effect


def adapters_of(row: str) -> Sequence[tuple[str, Adapter]]:
    folder = unpacked(ARCH_RECORDS, row)
    return [
        ("all", read_adapter(folder)),
        *((EXPERTS, read_adapter(each)) for each in folder.glob(EXPERTS)),
    ]


@pytest.mark.parametrize("llama", BUILDS, indirect=True)
@pytest.mark.parametrize("row", names_of(ARCH_RECORDS))
def test_archs(llama, ask_llama, tmp_path, row):
    """Every row of the table is merged, with its row orders, stacks of experts and multipliers."""
    base, folder = read_base(row), unpacked(ARCH_RECORDS, row)
    truth = llama.truth(folder / "logits.npz")
    cases = adapters_of(row)
    paths = [
        write(plan_lora(adapter, base), base, adapter, tmp_path / f"{kind}.gguf") for kind, adapter in cases
    ]
    found = ask_llama(base.gguf, truth["tokens"], [], merged=paths)
    for (kind, _), logits in zip(cases, found, strict=True):
        assert np.abs(logits - truth[kind]).max() <= LIMIT * np.abs(truth[kind] - truth["base"]).max(), kind
