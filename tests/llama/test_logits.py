"""llama.cpp, given our files, computes what PEFT computes.

The truth is recorded by ``tests/reference/record.py``: PEFT's own logits for adapters it saved
itself, on bases that llama.cpp's own converter wrote.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from archive import names_of, unpacked
from asking import REFUSED, Answer

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.plan import LoraPlan, LoraTensor
from ollama_pack.lora.planner import plan_lora
from ollama_pack.verify.numbers import prove_numbers

REFERENCE = "reference"
MODELS = names_of(REFERENCE)
CASES = [
    (model, case.name)
    for model in MODELS
    for case in sorted((unpacked(REFERENCE, model) / "adapters").iterdir())
]
OUTTYPES = ("f16", "f32")

LIMITS = {"f32": 1e-4, "f16": 0.02}
"""Largest difference from PEFT's logits, in units of what the adapter changes."""

NOISE = 1e-4
"""Largest difference of the bare base's logits, which are of size 10: two float32 implementations."""

pytestmark = pytest.mark.llama


@dataclass(frozen=True)
class Judged:
    """One model's records and llama.cpp's answers, by case and outtype."""

    llama: str
    truth: dict[str, np.ndarray]
    base: np.ndarray
    found: dict[tuple[str, str], Answer]

    def effect(self, case: str) -> float:
        """Return the largest change by the adapter, as PEFT has it."""
        return float(np.abs(self.truth[case] - self.truth["base"]).max())

    def miss(self, case: str, logits: Answer) -> float:
        """Return the largest difference from PEFT, in units of the effect."""
        assert isinstance(logits, np.ndarray), f"llama.cpp {self.llama} {logits}"
        return float(np.abs(logits - self.truth[case]).max()) / self.effect(case)


def plan_of(model: str, case: str) -> LoraPlan:
    """Return what a converted file must hold."""
    folder = unpacked(REFERENCE, model)
    return plan_lora(read_adapter(folder / "adapters" / case), read_base_gguf(folder / "base.gguf"))


@pytest.fixture(scope="session")
def judge(llama, ask_llama, tmp_path_factory) -> Callable[[str], Judged]:
    """Return model → records and answers; llama.cpp is started once a model."""
    kept: dict[str, Judged] = {}

    def look(model: str) -> Judged:
        if model not in kept:
            scratch = tmp_path_factory.mktemp(model)
            keys = [(case, outtype) for name, case in CASES if name == model for outtype in OUTTYPES]
            paths = [scratch / f"{case}-{outtype}.gguf" for case, outtype in keys]
            for (case, outtype), path in zip(keys, paths, strict=True):
                write_lora(plan_of(model, case), path, outtype)
            truth = llama.truth(unpacked(REFERENCE, model) / "logits.npz")
            base, *found = ask_llama(
                unpacked(REFERENCE, model) / "base.gguf", truth["tokens"], [None, *paths]
            )
            kept[model] = Judged(llama.name, truth, base, dict(zip(keys, found, strict=True)))
        return kept[model]

    return look


@pytest.mark.parametrize("model", MODELS)
def test_the_bare_base_computes_what_transformers_computes(judge, model):
    """Without an adapter llama.cpp says what was recorded, so the yardstick itself is straight."""
    judged = judge(model)
    assert np.abs(judged.base - judged.truth["base"]).max() <= NOISE


@pytest.mark.parametrize(("model", "case"), CASES)
def test_the_effect_is_far_above_the_noise(judge, model, case):
    """Each adapter changes the answer a thousand times more than the noise, so a wrong one would be seen."""
    assert judge(model).effect(case) > 1000 * NOISE


@pytest.mark.parametrize("outtype", OUTTYPES)
@pytest.mark.parametrize(("model", "case"), CASES)
def test_a_converted_adapter_computes_what_peft_computes(judge, model, case, outtype):
    """Our file's answer is PEFT's, for every module by itself and for all of them together."""
    judged = judge(model)
    assert judged.miss(case, judged.found[case, outtype]) <= LIMITS[outtype]


@pytest.mark.parametrize(("model", "case"), CASES)
def test_the_numbers_proof_agrees(tmp_path, model, case):
    """What llama.cpp confirms, the numbers proof passes too."""
    folder, path = unpacked(REFERENCE, model), tmp_path / "adapter.gguf"
    write_lora(plan_of(model, case), path, "f16")
    base = read_base_gguf(folder / "base.gguf")
    assert prove_numbers(read_adapter(folder / "adapters" / case), base, path).passed


def unordered(tensor: LoraTensor) -> LoraTensor:
    """Leave the rows as Hugging Face has them."""
    return tensor._replace(rows=None)


def backwards(tensor: LoraTensor) -> LoraTensor:
    """Order the rows the other way round."""
    order = tensor.rows
    return tensor if order is None else tensor._replace(rows=tuple(int(row) for row in np.argsort(order)))


def halved(tensor: LoraTensor) -> LoraTensor:
    """Scale B as if alpha were half of what it is."""
    return tensor._replace(factor=tensor.factor / 2) if tensor.name.endswith("lora_b") else tensor


@pytest.mark.parametrize("spoil", [unordered, backwards, halved])
@pytest.mark.parametrize(
    "record", [("llama", "q_proj"), ("llama", "k_proj"), ("mistral", "all-f32")], ids="-".join
)
def test_a_wrong_file_is_far_from_peft(judge, ask_llama, tmp_path, record, spoil):
    """Rows in the wrong order or a wrong scale load without a word, and miss the limit many times over."""
    model, case = record
    plan, judged = plan_of(model, case), judge(model)
    wrong = replace(plan, tensors=tuple(spoil(tensor) for tensor in plan.tensors))
    write_lora(wrong, tmp_path / "wrong.gguf", "f32")
    (logits,) = ask_llama(
        unpacked(REFERENCE, model) / "base.gguf", judged.truth["tokens"], [tmp_path / "wrong.gguf"]
    )
    assert judged.miss(case, logits) > 5 * LIMITS["f16"]


def test_llama_refuses_an_adapter_of_another_base(ask_llama, tmp_path):
    """An adapter whose shapes are another base's is refused: the fixture tells refusal from an answer."""
    write_lora(plan_of("mistral", "q_proj"), tmp_path / "other.gguf", "f32")
    assert ask_llama(unpacked(REFERENCE, "llama") / "base.gguf", [3, 4], [tmp_path / "other.gguf"]) == [
        REFUSED
    ]
