"""Runs llama.cpp for the process that started this one. It imports nothing of this package.

This file alone knows the two libraries: xllamacpp, which is llama-server in prebuilt wheels, and
llama-cpp-python, which pip compiles. Each line of standard input is a JSON object: the first one names the
files, each further one is a question. Each line of output is an object with ``ready``, ``text``, ``done``,
``logprobs`` or ``fault``. What llama.cpp logs goes to stderr. The process ends when its input does.
"""

import json
import math
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CANCEL = "cancel"
"""The question by which the parent ends an answer that is under way."""

EVERY_TOKEN = 1_000_000
"""A number above the size of every vocabulary, to ask for the probabilities of all tokens."""

FORCED = 1e6
"""What is added to the logit of a token that must come next; its probability is reported without it."""


class FaultError(Exception):
    """llama.cpp cannot do what is asked: `kind` is a word for programs, `words` the library's message."""

    def __init__(self, kind: str, words: str = "") -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


class LlamaServer:
    """llama-server, as xllamacpp contains it. A process starts only one, since ending it may hang."""

    def __init__(self, settings: dict[str, Any]) -> None:
        import secrets

        import xllamacpp

        self.name = f"llama.cpp b{xllamacpp.__version__.rpartition('.')[2]} (xllamacpp)"
        self.adapters = len(settings["adapters"])
        self._key = secrets.token_hex(16)  # the server listens, and this user may not be alone
        given = xllamacpp.CommonParams()
        given.model.path = settings["base"]
        given.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in settings["adapters"]]
        given.lora_init_without_apply = True  # each request says which one acts
        given.api_keys = [self._key]
        given.n_ctx, given.n_parallel, given.cache_ram_mib = settings["context"], 1, 0
        given.warmup = given.ui = False
        try:
            self._server = xllamacpp.Server(given)
        except RuntimeError as error:
            raise FaultError("refused", str(error)) from error

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, in which special tokens stand as text."""
        import http.client
        from urllib.parse import urlsplit

        place = urlsplit(self._server.listening_address)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        asked = {"content": text, "add_special": False, "parse_special": True}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        connection.request("POST", "/tokenize", json.dumps(asked), headers)
        reply = json.loads(connection.getresponse().read())
        connection.close()
        _require_answer(reply)
        found: list[int] = reply["tokens"]
        return found

    def generate(
        self, prompt: list[int], adapter: int | None, options: dict[str, Any], say: Callable[[str], bool]
    ) -> dict[str, Any]:
        """Tell each piece of an answer to `say`, which returns whether that is enough; return its end."""
        last: dict[str, Any] = {}

        def listen(part: Any) -> bool:  # noqa: ANN401 — JSON
            last.update(part)
            choices = part.get("choices") or [{}]
            return say(choices[0].get("text") or "")

        asked = {"prompt": prompt, "stream": True, "stream_options": {"include_usage": True}, **options}
        self._server.handle_completions({**asked, **self._scales(adapter)}, listen)
        _require_answer(last)
        usage = last.get("usage") or {}
        reason = (last.get("choices") or [{}])[0].get("finish_reason") or CANCEL
        return {"stop": reason, "tokens": usage.get("completion_tokens", 0)}

    def likelihoods(self, prompt: list[int], answer: list[int], adapter: int | None) -> list[float]:
        """Return the logarithm of the probability of each token of an answer."""
        found = []
        for at, token in enumerate(answer):
            asked = {"prompt": [*prompt, *answer[:at]], "n_predict": 1, "temperature": 0, "n_probs": 1}
            scores = self._first({**asked, "logit_bias": [[token, FORCED]]}, adapter)
            if scores is None:  # not reported if the token ends the answer: read it from those of all tokens
                every = self._first({**asked, "n_probs": EVERY_TOKEN, "ignore_eos": True}, adapter) or {}
                scores = next(each for each in every["top_logprobs"] if each["id"] == token)
            found.append(scores["logprob"])
        return found

    def _first(self, asked: dict[str, Any], adapter: int | None) -> dict[str, Any] | None:
        """Return the probabilities reported for the first token of an answer, or None without a report."""
        reply = self._server.handle_completions({**asked, **self._scales(adapter)})
        _require_answer(reply)
        told = (reply["choices"][0].get("logprobs") or {}).get("content") or [None]
        first: dict[str, Any] | None = told[0]
        return first

    def _scales(self, adapter: int | None) -> dict[str, Any]:
        """Return the field of a request that chooses one adapter, or none of them."""
        scales = [{"id": each, "scale": float(each == adapter)} for each in range(self.adapters)]
        return {"lora": scales} if scales else {}


class CompiledLlama:
    """llama-cpp-python."""

    def __init__(self, settings: dict[str, Any]) -> None:
        import llama_cpp

        self.name = f"llama.cpp of llama-cpp-python {llama_cpp.__version__}"
        self._library = llama_cpp
        try:
            self._model: Any = llama_cpp.Llama(settings["base"], n_ctx=settings["context"], verbose=True)
        except ValueError as error:
            raise FaultError("refused", str(error)) from error
        self._adapters = []
        for path in settings["adapters"]:
            adapter = llama_cpp.llama_adapter_lora_init(self._model.model, path.encode())
            if not adapter:
                raise FaultError("refused", f"it cannot load the adapter {path}")
            self._adapters.append(adapter)

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, in which special tokens stand as text."""
        found: list[int] = self._model.tokenize(text.encode(), add_bos=False, special=True)
        return found

    def generate(
        self, prompt: list[int], adapter: int | None, options: dict[str, Any], say: Callable[[str], bool]
    ) -> dict[str, Any]:
        """Tell each piece of an answer to `say`, which returns whether that is enough; return its end."""
        self._use(adapter)
        names = {"n_predict": "max_tokens"}
        known = (
            *("temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "seed", "stop"),
            *("presence_penalty", "frequency_penalty", "n_predict"),
        )
        chosen = {names.get(key, key): options[key] for key in known if key in options}
        pieces, reason = 0, CANCEL
        try:
            parts = self._model.create_completion(prompt, stream=True, **chosen)
            for part in parts:
                text, reason = part["choices"][0]["text"], part["choices"][0]["finish_reason"] or reason
                pieces += 1
                if say(text):
                    reason = CANCEL
                    break
        except (RuntimeError, ValueError) as error:
            raise FaultError("asked", str(error)) from error
        return {"stop": reason, "tokens": max(0, self._model.n_tokens - len(prompt))}

    def likelihoods(self, prompt: list[int], answer: list[int], adapter: int | None) -> list[float]:
        """Return the logarithm of the probability of each token of an answer."""
        self._use(adapter)
        size, found = self._model.n_vocab(), []
        try:
            self._model.eval(prompt)
            for token in answer:
                row = self._library.llama_get_logits_ith(self._model.ctx, -1)[:size]
                most = max(row)
                found.append(row[token] - most - math.log(math.fsum(math.exp(each - most) for each in row)))
                self._model.eval([token])
        except (RuntimeError, ValueError) as error:
            raise FaultError("asked", str(error)) from error
        return found

    def _use(self, adapter: int | None) -> None:
        """Apply one adapter, or none, and clear what was computed before."""
        import ctypes

        chosen = [] if adapter is None else [self._adapters[adapter]]
        kind = self._library.llama_adapter_lora_p_ctypes * len(chosen)
        scales = (ctypes.c_float * len(chosen))(*(1.0 for _ in chosen))
        self._library.llama_set_adapters_lora(self._model.ctx, kind(*chosen), len(chosen), scales)
        self._library.llama_memory_clear(self._library.llama_get_memory(self._model.ctx), True)
        self._model.reset()


def _require_answer(reply: dict[str, Any]) -> None:
    """Require that llama-server did not answer with an error."""
    if "error" in reply:
        error = reply["error"]
        raise FaultError("asked", str(error.get("message") if isinstance(error, dict) else error))


def load_model(settings: dict[str, Any]) -> LlamaServer | CompiledLlama:
    """Return the model in the library that is installed; if both are, in xllamacpp."""
    words = ""
    for kind in (LlamaServer, CompiledLlama):
        try:
            return kind(settings)
        except ModuleNotFoundError:
            continue
        except (ImportError, OSError) as error:  # a library that it is linked with
            words = words or str(error)
    raise FaultError("unloadable" if words else "missing", words)


def memory() -> int:
    """Return how many bytes of this process are in memory, or their maximum if only that is known."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Parent:
    """The process that started this one: reads the lines that it sends, and writes lines to it."""

    def __init__(self) -> None:
        # What llama.cpp prints goes to stderr, with its log.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._asked: queue.Queue[dict[str, Any]] = queue.Queue()
        self.cancelled = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Read the parent's questions, and cancel an answer when it says so."""
        for line in os.fdopen(os.dup(0), "rb"):  # with sys.stdin, Python could not end while this waits
            asked = json.loads(line)
            if asked.get("ask") == CANCEL:
                self.cancelled.set()
            else:
                self.cancelled.clear()
                self._asked.put(asked)
        os._exit(0)

    def next(self) -> dict[str, Any]:
        """Return the next question of the parent."""
        return self._asked.get()

    def tell(self, **facts: Any) -> None:  # noqa: ANN401 — JSON
        """Tell the parent something."""
        self._out.write(json.dumps(facts) + "\n")
        self._out.flush()

    def hear(self, text: str) -> bool:
        """Send the parent a piece of an answer; return whether it has cancelled the answer."""
        if text:
            self.tell(text=text)
        return self.cancelled.is_set()


def answer(model: LlamaServer | CompiledLlama, asked: dict[str, Any], parent: Parent) -> None:
    """Answer one question."""
    prompt = model.tokens(asked["prompt"])
    if asked["ask"] == "generate":
        done = model.generate(prompt, asked["adapter"], asked["options"], parent.hear)
        parent.tell(done={"prompt_tokens": len(prompt), "memory": memory(), **done})
    else:
        tokens = model.tokens(asked["answer"])
        parent.tell(logprobs=model.likelihoods(prompt, tokens, asked["adapter"]))


def answer_parent() -> None:
    """Answer the questions of the parent until it closes the input of this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    sys.path[:] = [place for place in sys.path if Path(place) != Path(__file__).parent]
    parent = Parent()
    started = time.monotonic()
    try:
        model = load_model(parent.next())
    except FaultError as fault:
        parent.tell(fault=fault.kind, words=fault.words)
        os._exit(0)
    parent.tell(ready=model.name, seconds=time.monotonic() - started, memory=memory())
    while True:
        try:
            answer(model, parent.next(), parent)
        except FaultError as fault:
            parent.tell(fault=fault.kind, words=fault.words)


if __name__ == "__main__":
    answer_parent()
