"""Asks PEFT for merged weights, one at a time, in a process of its own, which alone needs PEFT and torch.

PEFT computes each weight in two ways that share no code. The result of its ``merge`` goes into the file. The
outputs of the adapted layer for all unit vectors are what the file is proved against. Weights travel in
files, so that neither process holds more than one of them in memory.
"""

import contextlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Any

import numpy as np

from ollama_pack.errors import UnsupportedError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.gguf.tensor_data import Float32
from ollama_pack.lora.adapter import Adapter
from ollama_pack.lora.hints import MERGE_HINT
from ollama_pack.lora.peft.run_directory import CONFIG_FILE, WEIGHTS_FILE
from ollama_pack.shown import words_of

WORKER = Path(__file__).with_name("merge_worker.py")
MERGE_SECONDS = 1800.0
"""The time after which no answer is expected any more. A stranger's pattern may take for ever in PEFT."""

KEPT_WEIGHTS = 4
"""Weights that are kept on the disk: a tensor may be made of three modules, and three tensors of one."""


class PeftQuestion(Enum):
    """What is asked of PEFT."""

    MERGE = "merge"
    APPLY = "apply"


@dataclass(frozen=True, slots=True)
class PeftLayer:
    """A layer of the base that PEFT puts an adapter on.

    Attributes:
        name: the name of its module in the adapter's files.
        kind: ``linear``, ``embedding``, or ``conv1d``, whose weight is in × out.
        shape: the shape of its weight, as PEFT has it.
        bias: whether it has a bias.
    """

    name: str
    kind: str
    shape: tuple[int, int]
    bias: bool


@dataclass(frozen=True, slots=True)
class MadeLayer:
    """Weight and bias of a layer, as PEFT makes them.

    Attributes:
        weight: float32, out × in; it lies in a file, of which only what is looked at is in memory.
        bias: float32, or None if the layer has none.
    """

    weight: Float32
    bias: Float32 | None


Fill = Callable[[PeftLayer, Float32], Sequence[float] | None]
"""Writes the weight of the base into an array of out × in, and returns the bias."""


def worker_command() -> list[str]:
    """Return the command that starts the process.

    Raises:
        UnsupportedError: PEFT is not installed.
    """
    missing = [name for name in ("torch", "peft") if importlib.util.find_spec(name) is None]
    if missing:
        raise UnsupportedError(
            f"Only PEFT can merge this adapter, and a library is not installed: {', '.join(missing)}.",
            hint="pip install 'ollama-pack[peft]'",
            code="extra-missing",
        )
    return [sys.executable, str(WORKER)]


class PeftWeights:
    """The weights that PEFT makes of those of a base. The process starts when the first one is asked for.

    When the last reference to this object is gone, the process ends and its files are deleted.

    Args:
        adapter: the adapter.
        layers: every layer that it adapts, in the order of the model.
        ask: in which of the two ways PEFT computes them.
        fill: reads a weight of the base.

    Raises:
        UnsupportedError: PEFT is not installed, or the weights are in a file that it does not read safely.
    """

    def __init__(self, adapter: Adapter, layers: Sequence[PeftLayer], ask: PeftQuestion, fill: Fill) -> None:
        if adapter.weights.name != WEIGHTS_FILE:
            raise UnsupportedError(
                f"Only PEFT can merge this adapter, and here it can read only {WEIGHTS_FILE}.",
                where=adapter.weights,
                hint="save the adapter again with model.save_pretrained(DIR)",
                code="not-mergeable",
            )
        self._command = worker_command()
        self.adapter = adapter
        self._layers, self._ask, self._fill = layers, ask, fill
        self._room = Path(tempfile.mkdtemp(prefix="ollama-pack-"))
        weakref.finalize(self, shutil.rmtree, self._room, ignore_errors=True)
        self._process: subprocess.Popen[str] | None = None
        self._kept: OrderedDict[str, MadeLayer] = OrderedDict()
        self._lock = threading.Lock()

    def made(self, layer: PeftLayer) -> MadeLayer:
        """Return weight and bias of a layer; several threads may ask.

        Raises:
            UnsupportedError: PEFT cannot make them.
            InputError: the base cannot be read.
        """
        with self._lock:
            if layer.name not in self._kept:
                self._kept[layer.name] = self._make(layer)
            self._kept.move_to_end(layer.name)
            while len(self._kept) > KEPT_WEIGHTS:
                gone, _ = self._kept.popitem(last=False)
                self._path(gone).unlink(missing_ok=True)
            return self._kept[layer.name]

    def _path(self, name: str) -> Path:
        """Return the file through which a tensor goes to the process or comes back."""
        return self._room / f"{name}.f32"

    def _make(self, layer: PeftLayer) -> MadeLayer:
        """Return a layer that PEFT makes now."""
        given, into = self._path("given"), self._path(layer.name)
        weight = np.memmap(given, np.float32, "w+", shape=layer.shape)
        bias = self._fill(layer, weight.T if layer.kind == "conv1d" else weight)
        weight.flush()
        question = {"module": layer.name, "ask": self._ask.value, "weight": str(given), "into": str(into)}
        answer = self._answer({**question, "bias": None if bias is None else [float(each) for each in bias]})
        made = np.memmap(into, np.float32, "r", shape=layer.shape)
        own = answer.get("bias")
        return MadeLayer(
            made.T if layer.kind == "conv1d" else made, None if own is None else np.array(own, np.float32)
        )

    def _answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer to a question; before the first one, send adapter and modules."""
        if self._process is None:
            self._process = self._started()
            modules = [asdict(layer) for layer in self._layers]
            weights = self.adapter.weights.absolute()
            (self._room / CONFIG_FILE).write_text(json.dumps(dict(self.adapter.config)), "utf-8")
            self._exchange({"config": str(self._room), "weights": str(weights), "modules": modules})
        return self._exchange(question)

    def _started(self) -> "subprocess.Popen[str]":
        """Start the process, which ends with this object."""
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        weakref.finalize(self, end_worker, process)
        return process

    def _exchange(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the process a question, and return its answer."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        watch = threading.Timer(MERGE_SECONDS, process.kill)
        watch.start()
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            answer = parse_json(process.stdout.readline() or '{"error": "its process ended"}')
        except (OSError, ValueError):
            answer = {"error": "its process ended"}
        finally:
            watch.cancel()
        if "error" in answer:
            raise UnsupportedError(
                f"PEFT cannot merge {question.get('module', 'it')}: {words_of(str(answer['error']))}.",
                where=self.adapter.weights,
                hint=MERGE_HINT,
                code="not-mergeable",
            )
        return dict(answer)


def end_worker(process: "subprocess.Popen[str]") -> None:
    """End a process that is not asked any more."""
    streams: list[IO[str] | None] = [process.stdin, process.stdout]
    process.kill()
    process.wait()
    for stream in streams:
        if stream is not None:
            with contextlib.suppress(OSError):  # what is still to be written has no reader
                stream.close()
