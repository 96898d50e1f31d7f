"""Every reader is linear: twice the input is at most twice the steps, which are counted and not timed.

A step is an instruction of Python's machine, so that a loop without calls counts too.
"""

import json
import struct
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from gguf_bytes import gguf, key, tensor
from recipes import safetensors, with_header

from ollama_pack.chat.go_prompt import read_go_prompt
from ollama_pack.errors import PackError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.peft.safetensors_header import read_safetensors
from ollama_pack.lora.peft.tokenizer import read_tokenizer
from ollama_pack.modelfile.file import read_modelfile
from ollama_pack.modelfile.parser import command_problems, parameters
from ollama_pack.modelfile.template_check import template_problems
from ollama_pack.ollama.api_types import read_listed, read_shown
from ollama_pack.ollama.manifest import parse_manifest
from ollama_pack.ollama.manifest_list import LIST_TYPES, read_children
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.release.evidence import record_of_folder
from ollama_pack.run.pickle_scan import scan
from ollama_pack.run.trainer_log import read_log

LAYER = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{'a' * 64}", "size": 9}
STEP_LAYERS = 40


def steps_of(read, *arguments) -> int:
    """Return how many instructions of this package and of Python's library a call takes."""
    count = [0]

    def trace(frame, event, _argument):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            count[0] += 1
        return trace

    sys.settrace(trace)
    try:
        read(*arguments)
    except PackError:
        pass
    finally:
        sys.settrace(None)
    return count[0]


def written(place: Path, name: str, content: bytes | str | object) -> Path:
    """Return a folder with one file; what is neither bytes nor text is written as JSON."""
    if not isinstance(content, bytes | str):
        content = json.dumps(content)
    (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


def adapter(place: Path, count: int, **config: object) -> Path:
    """Return an adapter with so many layers."""
    names = [f"model.layers.{layer}.self_attn.q_proj" for layer in range(count)]
    tensors = {
        f"base_model.model.{name}.lora_{side}.weight": np.ones((2, 2)) for name in names for side in "AB"
    }
    written(place, "adapter_model.safetensors", safetensors(tensors))
    settings = {
        "peft_type": "LORA",
        "r": 2,
        "lora_alpha": 2,
        **{key: make(names) for key, make in config.items()},
    }
    return written(place, "adapter_config.json", settings)


def modelfile(place: Path, content: str) -> None:
    """Read a Modelfile and everything that is wrong with it."""
    found = read_modelfile(written(place, "Modelfile.txt", "FROM x\n" + content))
    command_problems(found)
    parameters(found)


GROWN = {
    "GGUF, keys": lambda place, n: read_gguf(
        written(place, "x", gguf([key(f"k{at}", 4, struct.pack("<I", 1)) for at in range(n)], [], b"")) / "x"
    ),
    "GGUF, tensors": lambda place, n: read_gguf(
        written(place, "x", gguf([], [tensor(f"t{at}", (2, 2)) for at in range(n)], bytes(32 * n))) / "x"
    ),
    "safetensors": lambda place, n: read_safetensors(
        written(place, "x", safetensors({f"t{at}": np.ones(1) for at in range(n)})) / "x"
    ),
    "safetensors, one name again and again": lambda place, n: read_safetensors(
        written(place, "x", with_header(b"{" + b",".join([b'"a":1'] * n) + b"}")) / "x"
    ),
    "adapter, layers": lambda place, n: read_adapter(adapter(place, n)),
    "adapter, a rank for each layer": lambda place, n: read_adapter(
        adapter(place, n, rank_pattern=lambda names: dict.fromkeys(names, 2))
    ),
    "adapter, many target_parameters": lambda place, n: read_adapter(
        adapter(place, n, target_parameters=lambda names: [f"{name}.x" for name in names])
    ),
    "tokenizer.json": lambda place, n: read_tokenizer(
        written(
            place,
            "tokenizer.json",
            {
                "model": {"vocab": {f"t{at}": at for at in range(n)}, "merges": ["a b"] * n},
                "added_tokens": [{"id": at, "content": "a"} for at in range(n)],
            },
        )
    ),
    "trainer_state.json": lambda place, n: read_log(
        written(place, "trainer_state.json", {"log_history": [{"step": at, "loss": 1.0} for at in range(n)]})
    ),
    "pickle": lambda place, n: scan(
        written(place, "x", b"\x80\x02" + b"X\x01\x00\x00\x00aq\x00" * n + b".") / "x"
    ),
    "Modelfile, comments": lambda place, n: modelfile(place, "# c\n" * n),
    "Modelfile, FROM": lambda place, n: modelfile(place, "FROM y\n" * n),
    "Modelfile, stop words": lambda place, n: modelfile(
        place, "".join(f"PARAMETER stop s{at}\n" for at in range(n))
    ),
    "Modelfile, messages": lambda place, n: modelfile(place, "MESSAGE user hi\n" * n),
    "Modelfile, a text of many lines": lambda place, n: modelfile(place, 'SYSTEM """' + "a\n" * n + '"""\n'),
    "Go template": lambda _, n: read_go_prompt("{{ if .System }}{{ .System }}{{ end }}" * n).fill(
        [{"role": "user", "content": "x"}], date(2026, 1, 2)
    ),
    "Go template, checked": lambda _, n: list(
        template_problems("{{ if .System }}{{ .System }}{{ end }}" * n)
    ),
    "manifest": lambda _, n: parse_manifest(
        json.dumps({"config": LAYER, "layers": [LAYER] * n}).encode(), where="x"
    ),
    "list of manifests": lambda _, n: read_children(
        json.dumps({"mediaType": LIST_TYPES[0], "manifests": [{"config": LAYER, "layers": []}] * n}).encode(),
        where="x",
    ),
    "listed models": lambda _, n: read_listed({"models": [{"model": f"m{at}"} for at in range(n)]}),
    "shown model": lambda _, n: read_shown(
        {"tensors": [{"name": f"t{at}", "shape": [1, 2]} for at in range(n)]}
    ),
    "lock file": lambda place, n: record_of_folder(
        written(
            place,
            "ollama-pack.lock",
            {
                "adapter": {"gguf": "x", "sources": [{f"f{at}": "x" for at in range(n)}]},
                "base": {},
                "modelfile": "x",
            },
        )
    ),
    "a name": lambda _, n: parse_name("a/" * n),
    "JSON": lambda _, n: parse_json("[" + "[1]," * n + "1]"),
}


@pytest.mark.parametrize("read", GROWN.values(), ids=GROWN)
def test_twice_the_input_is_twice_the_steps(read, tmp_path):
    """Whatever makes an input longer, the steps grow no faster than it does."""
    for each in ("warm", "once", "twice"):
        (tmp_path / each).mkdir()
    read_quietly = steps_of(read, tmp_path / "warm", 2)  # imports, and tables that are made once
    once = steps_of(read, tmp_path / "once", STEP_LAYERS)
    twice = steps_of(read, tmp_path / "twice", 2 * STEP_LAYERS)
    assert read_quietly
    assert twice <= 2.1 * once + 500


def test_a_quadratic_reader_is_found_out():
    """The count tells a loop in a loop from a loop."""

    def quadratic(count):
        return [1 for one in range(count) for other in range(count)]

    assert steps_of(quadratic, 80) > 2.5 * steps_of(quadratic, 40)
