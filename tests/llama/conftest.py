"""What PEFT recorded, and llama.cpp to ask about it."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from archive import unpacked
from judging import OUTTYPES, RECORDS, TORCH, Judge, request_of
from kinds import KINDS, RIGHT, Kind
from smollm2 import write_f32

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.split_modules import join_split_modules
from ollama_pack.pipeline.inputs import read_all_adapters, resolve_inputs
from ollama_pack.pipeline.prepare import BuildPlan

CHILD = Path(__file__).parent / "child.py"
SECONDS = 120
BASE = os.environ.get("OLLAMA_PACK_TEST_BASE", "")

AskLlama = Callable[..., "list[np.ndarray | None]"]


@pytest.fixture(scope="session")
def ask_llama(tmp_path_factory) -> AskLlama:
    """Return base, tokens, adapters → logits an adapter, None for one that llama.cpp refuses."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.fail("llama_cpp is not installed: these tests run real llama.cpp (group `tests`, make test).")

    def ask(
        base: Path, tokens: Sequence[int], adapters: Sequence[Path | None], merged: Sequence[Path] = ()
    ) -> list[np.ndarray | None]:
        folder = tmp_path_factory.mktemp("llama")
        job, answers = folder / "job.json", folder / "answers.npz"
        named: dict = {"base": str(base), "answers": str(answers), "tokens": [int(token) for token in tokens]}
        paths = [None if path is None else str(path) for path in adapters]
        named["merged"] = list(map(str, merged))
        job.write_text(json.dumps({**named, "adapters": paths}), "utf-8")
        ran = subprocess.run(
            [sys.executable, CHILD, job], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        if ran.returncode != 0:
            pytest.fail(f"llama.cpp ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
        with np.load(answers) as found:
            return [found.get(str(place)) for place in range(len(paths) + len(merged))]

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
            read_all_adapters(resolve_inputs(request_of(kind))),
            read_base_gguf(base_file(kind.model)),
        )
        adapter = join_split_modules(adapter, base)
        return BuildPlan(adapter, base, plan_lora(adapter, base))

    return settle


@pytest.fixture(scope="session")
def judge_kinds(ask_llama, base_file, settled, tmp_path_factory) -> Callable[[str], Judge]:
    """Return model → records and answers; llama.cpp is started once for each row of tokens."""
    kept: dict[str, Judge] = {}

    def look(model: str) -> Judge:
        if model not in kept:
            scratch = tmp_path_factory.mktemp(model)
            with np.load(unpacked(RECORDS, model) / "logits.npz") as records:
                truth = dict(records)
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
                bare, *found = ask_llama(base_file(model), truth[key], [None, *paths])
                answers["base", key] = bare
                answers |= {(kind.case, out): logits for (kind, out), logits in zip(jobs, found, strict=True)}
            kept[model] = Judge(model, truth, answers)
        return kept[model]

    return look
