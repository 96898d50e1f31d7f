"""What PEFT recorded, and llama.cpp to ask about it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from archive import unpacked
from asking import LLAMAS, Answer, Llama, Question, find_llama, only_last
from judging import OUTTYPES, RECORDS, TORCH, Judge, request_of
from kinds import KINDS, RIGHT, Kind
from smollm2 import write_f32

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.split_modules import join_split_modules
from ollama_pack.lora.vocabulary import into_base
from ollama_pack.pipeline.inputs import read_all_adapters, resolve_inputs
from ollama_pack.pipeline.prepare import BuildPlan

BASE = os.environ.get("OLLAMA_PACK_TEST_BASE", "")

AskLlama = Callable[..., list[Answer]]


@pytest.fixture(scope="session", params=LLAMAS)
def llama(request) -> Llama:
    """Return each llama.cpp that is installed, one after the other."""
    return find_llama(request.param)


@pytest.fixture(scope="session")
def ask_llama(llama, tmp_path_factory) -> AskLlama:
    """Return base, tokens, adapters → an answer for each adapter; None is the bare base.

    `merged` and `last` are those of `Question`.
    """

    def ask(base: Path, tokens: Sequence[int], adapters: Sequence[Path | None], **how) -> list[Answer]:
        question = Question(base, tuple(int(token) for token in tokens), tuple(adapters), **how)
        return llama.ask(question, tmp_path_factory.mktemp("llama"))

    return ask


@pytest.fixture(scope="session")
def base_file(tmp_path_factory) -> Callable[[str], Path]:
    """Return model → its float32 GGUF file."""
    made: dict[str, Path] = {}

    def find(model: str) -> Path:
        if model == "smollm2":
            if model not in made:
                if not BASE:
                    pytest.skip(
                        "NOT TESTED on a real base: OLLAMA_PACK_TEST_BASE names none (make test fetches it)"
                    )
                made[model] = tmp_path_factory.mktemp("smollm2") / "smollm2.f32.gguf"
                write_f32(Path(BASE), made[model])
            return made[model]
        return unpacked(RECORDS, model) / "base.gguf"

    return find


@pytest.fixture(scope="session")
def settled(base_file) -> Callable[[Kind], BuildPlan]:
    """Return kind → what is to be written for it."""

    def settle(kind: Kind) -> BuildPlan:
        adapter, base = (
            read_all_adapters(resolve_inputs(request_of(kind)), by_peft=kind.by_peft),
            read_base_gguf(base_file(kind.model)),
        )
        adapter = join_split_modules(adapter, base)
        merged = kind.asked.get("merge", False)
        return BuildPlan(
            adapter, base, plan_lora(adapter, into_base(base, adapter, None) if merged else base)
        )

    return settle


@pytest.fixture(scope="session")
def judge_kinds(llama, ask_llama, base_file, settled, tmp_path_factory) -> Callable[[str], Judge]:
    """Return model → records and answers; llama.cpp is started once for each row of tokens."""
    kept: dict[str, Judge] = {}

    def look(model: str) -> Judge:
        if model not in kept:
            scratch = tmp_path_factory.mktemp(model)
            truth = llama.truth(unpacked(RECORDS, model) / "logits.npz")
            kinds = [kind for kind in KINDS if (kind.model, kind.verdict) == (model, RIGHT)]
            kinds = [kind for kind in kinds if TORCH or kind.case != "bin"]
            answers: dict = {}
            for key in {f"tokens:{kind.case}" for kind in kinds if f"tokens:{kind.case}" in truth} | {
                "tokens"
            }:
                mine = [kind for kind in kinds if (f"tokens:{kind.case}" in truth) == (key != "tokens")]
                jobs = [(kind, outtype) for kind in mine for outtype in OUTTYPES]
                paths = [scratch / f"{kind.case}-{outtype}.gguf" for kind, outtype in jobs]
                for (kind, outtype), path in zip(jobs, paths, strict=True):
                    write_lora(settled(kind).plan, path, outtype)
                bare, *found = ask_llama(
                    base_file(model),
                    truth[key],
                    [None, *paths],
                    last=only_last(key.removeprefix("tokens:"), truth),
                )
                answers["base", key] = bare
                answers |= {(kind.case, out): logits for (kind, out), logits in zip(jobs, found, strict=True)}
            kept[model] = Judge(llama, truth, answers)
        return kept[model]

    return look
