"""llama.cpp in a separate process, which gets one question a line, is watched, and is ended after use."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_pack.engine import llama_worker
from ollama_pack.engine.answers import Asked, Hear, Said, Weights, unheard
from ollama_pack.engine.memory import require_memory
from ollama_pack.errors import DestinationError, InputError, PackError, UsageError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.shown import words_of

QUIET_SECONDS = 600.0
"""The process is ended if it owes a line for longer than this."""

LOG_LINES = 400
"""Lines of llama.cpp's log that are kept."""

INSTALL = "pip install 'ollama-pack[try]'"
OPENMP = "install your system's OpenMP runtime: on Debian and Ubuntu, apt install libgomp1"

_SHOWN_LOG = 6
_ENDS = ("stop",)
_ABORTED = ("GGML_ASSERT", "GGML_ABORT", "terminate called", "error", "failed", " E ")
"""Marks of the lines of a log that say what went wrong."""


@dataclass(slots=True)
class Llama:
    """A model in llama.cpp; `running_llama` starts and ends it.

    Attributes:
        weights: its files.
        process: the process.
        silence: the number of seconds without an expected line after which the process is ended.
        name: the name and version of the library that runs llama.cpp.
        load_seconds: how long loading took, in seconds.
        memory: the number of bytes that the process has in memory.
        log: the last lines that llama.cpp logged.
        hear_log: called with each of these lines, from a thread.
        waits_since: the time (`time.monotonic`) of the last sign of life while a line is expected, else 0.
        answering: whether the process has begun an answer whose end was not read yet.
    """

    weights: Weights
    process: "subprocess.Popen[bytes]"
    silence: float = QUIET_SECONDS
    name: str = ""
    load_seconds: float = 0.0
    memory: int = 0
    log: "deque[str]" = field(default_factory=lambda: deque(maxlen=LOG_LINES), repr=False)
    hear_log: Hear = field(default=unheard, repr=False)
    waits_since: float = field(default=0.0, repr=False)
    answering: bool = field(default=False, repr=False)
    _reader: threading.Thread | None = field(default=None, repr=False)

    def say(self, asked: Asked, hear: Hear = unheard) -> Said:
        """Return the answer to a prompt, whose pieces `hear` gets as soon as they are there.

        After Ctrl-C the rest of the answer is not computed.

        Raises:
            DestinationError: llama.cpp ended, or is silent for too long.
            InputError: the prompt is too long.
        """
        self._hear_the_rest()
        started, pieces = time.monotonic(), []
        self.answering = True
        self._send(
            ask="generate", prompt=asked.prompt, adapter=asked.adapter, options=server_options(asked.options)
        )
        try:
            while "done" not in (line := self._line()):
                pieces.append(str(line.get("text", "")))
                hear(pieces[-1])
        except KeyboardInterrupt:
            self._send(ask=llama_worker.CANCEL)
            raise
        self.answering, done = False, line["done"]
        self.memory = done["memory"]
        ended = done["stop"] in _ENDS
        return Said("".join(pieces), done["tokens"], ended, time.monotonic() - started)

    def likelihoods(self, prompt: str, answer: str, adapter: int | None = None) -> tuple[float, ...]:
        """Return the logarithm of the probability of each token of a given answer to a prompt.

        Args:
            prompt: the text before the answer, with its special tokens.
            answer: the answer, with the special token that ends it.
            adapter: the index of the adapter to apply; None for the base alone.

        Raises:
            DestinationError: llama.cpp ended, or is silent for too long.
            InputError: both together are too long.
        """
        self._hear_the_rest()
        self._send(ask="likelihoods", prompt=prompt, answer=answer, adapter=adapter)
        return tuple(map(float, self._line()["logprobs"]))

    def _hear_the_rest(self) -> None:
        """Read the rest of an answer that was cancelled, so that it is not taken for the next answer."""
        while self.answering:
            with contextlib.suppress(InputError):  # nobody waits for that answer any more
                self.answering = "done" not in self._line()

    def _send(self, **facts: Any) -> None:  # noqa: ANN401 — JSON
        """Send a question to the process."""
        assert self.process.stdin is not None
        self.waits_since = time.monotonic()
        with contextlib.suppress(OSError):  # if the process has ended, `_line` reports why
            # A lone surrogate, which JSON may hold, is no text for llama.cpp.
            line = json.dumps(facts, ensure_ascii=False).encode("utf-8", "replace")
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()

    def _line(self) -> Mapping[str, Any]:
        """Return the next line of the process.

        Raises:
            PackError: the process has ended, or reports a fault.
        """
        assert self.process.stdout is not None
        self.waits_since = time.monotonic()
        line = self.process.stdout.readline()
        waited, self.waits_since = time.monotonic() - self.waits_since, 0.0
        if not line:
            raise self._ended(waited)
        facts: Mapping[str, Any] = parse_json(line)
        if "fault" in facts:
            self.answering = False
            raise self._fault(str(facts["fault"]), words_of(str(facts["words"])))
        return facts

    def _ended(self, waited: float) -> PackError:
        """Return the error for a process that ended by itself, or was ended."""
        code = self._log_to_the_end()
        if waited >= self.silence:
            what = f"llama.cpp said nothing for {self.silence:g} seconds"
        elif code < 0:
            what = f"llama.cpp ended by itself ({_signal_name(-code)})"
        else:
            what = f"llama.cpp ended by itself (exit code {code})"
        killed = code == -9 and waited < self.silence
        return DestinationError(
            "\n  ".join((f"{what}.", *self._telling())),
            where=self.weights.base,
            hint="a machine with more memory, or a smaller base" if killed else "-v  shows its whole log",
            code="llama-ended",
        )

    def _fault(self, kind: str, words: str) -> PackError:
        """Return the error for a fault that the process reports; `kind` is one of the worker's."""
        if kind == "missing":
            return UsageError("llama.cpp is not installed.", hint=INSTALL, code="extra-missing")
        if kind == "unloadable":
            return UsageError(f"xllamacpp cannot be loaded: {words}.", hint=OPENMP, code="extra-missing")
        if kind == "asked":
            return InputError(f"llama.cpp does not accept the prompt: {words}.", where=self.weights.base)
        self._log_to_the_end()
        files = ", ".join(each.name for each in self.weights.adapters)
        with_adapters = f" with {files}" if files else ""
        return InputError(
            "\n  ".join(
                (f"llama.cpp cannot load {self.weights.base.name}{with_adapters}.", *self._telling())
            ),
            where=self.weights.base,
            hint="-v  shows its whole log",
            code="not-loaded",
        )

    def _log_to_the_end(self) -> int:
        """Read the log of a process that ends, and return its exit code."""
        code = self.process.wait()
        if self._reader is not None:
            self._reader.join(timeout=5)
        return code

    def _telling(self) -> list[str]:
        """Return the last lines of the log that say what is wrong, else the last ones."""
        lines = [words_of(line) for line in self.log if line.strip()]
        telling = [line for line in lines if any(mark in line for mark in _ABORTED)]
        return (telling or lines)[-_SHOWN_LOG:]

    def listen_to_log(self) -> None:
        """Keep the last lines of the log, in a thread."""
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        """Keep what the process writes on stderr, line by line, until it ends."""
        assert self.process.stderr is not None
        with contextlib.suppress(ValueError):  # closed meanwhile
            for line in iter(lambda: self.process.stderr.readline(4096), b""):  # type: ignore[union-attr]
                self.log.append(line.decode("utf-8", "replace").rstrip())
                self.hear_log(self.log[-1])

    def end_if_silent(self) -> None:
        """Watch the process, and end it if it owes a line for too long."""
        while self.process.poll() is None:
            since = self.waits_since
            if since and time.monotonic() > since + self.silence:
                self.process.kill()
                return
            time.sleep(0.05)

    def start(self) -> None:
        """Load the model.

        Raises:
            UsageError: llama.cpp is not installed.
            InputError: llama.cpp refuses the model.
            DestinationError: llama.cpp ended, or is silent for too long.
        """
        paths = [str(path.absolute()) for path in self.weights.adapters]
        context = self.weights.context
        self._send(base=str(self.weights.base.absolute()), adapters=paths, context=context)
        ready = self._line()
        self.name, self.load_seconds, self.memory = ready["ready"], ready["seconds"], ready["memory"]


@contextlib.contextmanager
def running_llama(
    weights: Weights, hear_log: Hear = unheard, silence: float = QUIET_SECONDS
) -> Iterator[Llama]:
    """Yield a model that runs in llama.cpp; its process is ended when the ``with`` block ends.

    Args:
        weights: its files.
        hear_log: called with each line that llama.cpp logs, from a thread.
        silence: the number of seconds without an expected line after which the process is ended.

    Raises:
        UsageError: llama.cpp is not installed.
        InputError: llama.cpp refuses the model.
        UnsupportedError: the model is larger than the memory of this machine.
        DestinationError: llama.cpp ended, or is silent for too long.
    """
    require_memory(weights)
    quiet = {"GGML_NO_BACKTRACE": "1", "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive")}
    process = subprocess.Popen(
        [sys.executable, llama_worker.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **quiet, "PYTHONUTF8": "1"},
    )
    llama = Llama(weights, process, silence, hear_log=hear_log)
    llama.listen_to_log()
    threading.Thread(target=llama.end_if_silent, daemon=True).start()
    try:
        llama.start()
        yield llama
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def server_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return PARAMETERs as llama-server takes them with a request, without those for loading a model."""
    names = {"num_predict": "n_predict", "num_keep": "n_keep"}
    known = (
        *("temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_last_n", "repeat_penalty"),
        *("presence_penalty", "frequency_penalty", "seed", "stop", *names),
    )
    return {names.get(key, key): options[key] for key in known if key in options}


def _signal_name(number: int) -> str:
    """Return the name of a signal."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
