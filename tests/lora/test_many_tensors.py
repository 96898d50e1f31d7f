"""The steps of a conversion grow with its tensors, and no faster; steps are counted, because seconds vary."""

import sys
import threading
from collections import Counter
from functools import partial
from itertools import count

import numpy as np
import pytest
from recipes import TINY, resized

from ollama_pack.gguf import tensor_data
from ollama_pack.lora.export import write_lora
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.verify.numbers import prove_numbers

COUNTING_TOOL = 4
"""A number of ``sys.monitoring`` that no debugger, profiler or coverage tool has."""

HIDDEN, WIDE = TINY.hparams.hidden, 8
SHAPES = {"gate_proj": (WIDE, HIDDEN), "up_proj": (WIDE, HIDDEN), "down_proj": (HIDDEN, WIDE)}


@pytest.fixture
def mixture(make_adapter):
    """Return a function that makes an adapter of so many single experts in two blocks, and its base."""

    def make(experts):
        rng = np.random.default_rng(experts)
        tensors = {}
        for block in (0, 1):
            for expert in range(experts):
                for module, (out, width) in SHAPES.items():
                    name = f"base_model.model.model.layers.{block}.mlp.experts.{expert}.{module}"
                    tensors[f"{name}.lora_A.weight"] = rng.normal(size=(1, width))
                    tensors[f"{name}.lora_B.weight"] = rng.normal(size=(out, 1))
        base = resized(TINY, arch="qwen3moe", experts=experts, expert_feed_forward=WIDE, tied=False)
        directory = make_adapter(modules=(), rank=1, dtype="BF16", extra=tensors)
        return directory, base

    return make


def convert(directory, base) -> None:
    """Read, plan, write and prove."""
    adapter = read_adapter(directory)
    path = directory / "adapter_model.gguf"
    write_lora(plan_lora(adapter, base), path, "f16", lambda draft: prove_numbers(adapter, base, draft))


def steps_of(call) -> int:
    """Return how many instructions of Python a call takes, in all its threads."""
    return (monitored if sys.version_info >= (3, 12) else traced)(call)


def monitored(call) -> int:
    """Return the same where Python can count instructions; its tracing misses many of them from 3.13 on."""
    steps, monitoring = count(), sys.monitoring
    event = monitoring.events.INSTRUCTION
    monitoring.use_tool_id(COUNTING_TOOL, "steps")
    monitoring.register_callback(COUNTING_TOOL, event, lambda *_: next(steps) and None)
    monitoring.set_events(COUNTING_TOOL, event)
    try:
        call()
    finally:
        monitoring.set_events(COUNTING_TOOL, 0)
        monitoring.register_callback(COUNTING_TOOL, event, None)
        monitoring.free_tool_id(COUNTING_TOOL)
    return next(steps)


def traced(call) -> int:
    """Return the same by tracing each frame."""
    steps = Counter()

    def trace(frame, event, _argument):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps[threading.get_ident()] += event == "opcode"
        return trace

    before = sys.gettrace()
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        threading.settrace(before)
    return sum(steps.values())


def test_steps_grow_with_the_tensors(mixture):
    """Each further expert costs as much as the one before: 16 to 32 half of what 32 to 64 cost."""
    convert(*mixture(4))  # what is imported or worked out once is not counted
    few, more, most = (steps_of(partial(convert, *mixture(experts))) for experts in (16, 32, 64))
    assert (most - more) / (more - few) == pytest.approx(2, rel=0.01)


def test_a_quadratic_step_would_be_seen():
    """The count tells a loop in a loop from a loop."""

    def loops(number):
        return [other for _ in range(number) for other in range(number)]

    few, more, most = (steps_of(partial(loops, number)) for number in (16, 32, 64))
    assert (most - more) / (more - few) == pytest.approx(4, rel=0.1)


def test_tensors_side_by_side_are_read_at_once(mixture, monkeypatch):
    """The look at all numbers reads runs of tensors, and the writer each tensor once."""
    reads = []
    read_stored = tensor_data.read_stored
    monkeypatch.setattr(
        tensor_data, "read_stored", lambda file, tensor: (reads.append(tensor), read_stored(file, tensor))[1]
    )
    directory, base = mixture(8)
    adapter = read_adapter(directory)
    assert (len(reads), len(adapter.pairs)) == (1, 48)
    reads.clear()
    write_lora(plan_lora(adapter, base), directory / "adapter_model.gguf", "f16")
    assert len(reads) == len(set(reads)) == 2 * len(adapter.pairs)
