"""Fills the chat template that a model was trained with, in a separate process with limits.

The result is that of ``apply_chat_template`` of transformers with ``add_generation_prompt=True``.
"""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ollama_pack.chat import jinja_worker
from ollama_pack.chat.trained import ChatTemplate, Conversation
from ollama_pack.errors import InputError
from ollama_pack.formats.untrusted_json import parse_json
from ollama_pack.jobs.limited_process import limited_command
from ollama_pack.shown import words_of

SLOWEST_SECONDS = 10.0
"""The number of seconds after which a conversation is given up."""

LOOK_SECONDS = 0.05
MOST_ANSWERS = 1000
LONGEST_ANSWER_KEPT = 1 << 14

_MEMORY = 512 << 20
_PROCESS_SECONDS = 120


class ConversationRefusedError(Exception):
    """The template does not take a conversation; the text is what it says."""


@dataclass(slots=True)
class ChatRenderer:
    """A process that fills chat templates; `chat_renderer` starts and ends it.

    Attributes:
        now: the time that templates see.
        process: the process, or None while none runs.
        slowest: the number of seconds after which a conversation is given up.
        asked_at: the time (`time.monotonic`) of the question that the process has not answered yet, else 0.
        answers: short answers so far, since the trained template and the sent one are often the same.
    """

    now: datetime
    process: "subprocess.Popen[bytes] | None" = None
    slowest: float = SLOWEST_SECONDS
    asked_at: float = field(default=0.0, repr=False)
    answers: dict[bytes, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def render(
        self,
        template: ChatTemplate,
        conversation: Conversation,
        *,
        by_llama_cpp: bool = False,
        **settings: Any,  # noqa: ANN401
    ) -> str:
        """Return the prompt of a conversation.

        Args:
            template: the chat template.
            conversation: the conversation.
            by_llama_cpp: whether to fill it as llama.cpp does, which trims ASCII white space only and changes
                the case of ASCII letters only.
            settings: further values for the template, ``enable_thinking``.

        Raises:
            ConversationRefusedError: the template itself says that it does not take this conversation.
            InputError: the template is damaged, or takes too much time or memory.

        Example:
            >>> with chat_renderer(datetime(2026, 1, 2)) as renderer:
            ...     hello = Conversation("hello", [{"role": "user", "content": "Hi"}])
            ...     renderer.render(ChatTemplate("{{ messages[0]['content'] }}!"), hello)
            'Hi!'
        """
        values: dict[str, Any] = {
            "messages": list(conversation.messages),
            "tools": list(conversation.tools) if conversation.tools is not None else None,
            "documents": None,
            "add_generation_prompt": True,
            **template.special,
            **settings,
        }
        asked = {"template": template.text, "values": values, "now": self.now.isoformat()}
        answer = self._ask({**asked, "ascii": True} if by_llama_cpp else asked)
        if "refused" in answer:
            raise ConversationRefusedError(answer["refused"])
        if "fault" in answer:
            raise _template_fault(words_of(answer["fault"]), template)
        return answer["text"]

    def _ask(self, asked: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the answer of the process; a process that is too slow is ended, and later replaced."""
        question = json.dumps(asked).encode()
        if question in self.answers:
            return self.answers[question]
        process = self.process or self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        self.asked_at = time.monotonic()
        try:
            process.stdin.write(question + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        except KeyboardInterrupt:  # what it still says would be taken for the answer to the next question
            self.close()
            raise
        finally:
            self.asked_at = 0.0
        if not line:
            self.close()
            return {"fault": f"it takes more than {self.slowest:g} seconds, or too much memory"}
        answer: Mapping[str, str] = parse_json(line)
        # With the filter `random`, a template may answer differently each time.
        same = b"random" not in question
        if same and len(self.answers) < MOST_ANSWERS and len(line) <= LONGEST_ANSWER_KEPT:
            self.answers[question] = answer
        return answer

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the process, which imports what it needs while this one goes on."""
        self.process = subprocess.Popen(
            limited_command(jinja_worker.__file__, memory=_MEMORY, seconds=_PROCESS_SECONDS),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self._end_if_slow, args=(self.process,), daemon=True).start()
        return self.process

    def _end_if_slow(self, process: "subprocess.Popen[bytes]") -> None:
        """End the process if an answer takes too long; one thread watches all its questions."""
        while process.poll() is None:
            asked = self.asked_at
            if asked and time.monotonic() > asked + self.slowest:
                process.kill()
                return
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def chat_renderer(now: datetime) -> Iterator[ChatRenderer]:
    """Yield a renderer; its process is ended when the ``with`` block ends.

    Args:
        now: the time that templates see.
    """
    renderer = ChatRenderer(now)
    try:
        yield renderer
    finally:
        renderer.close()


def _template_fault(what: str, template: ChatTemplate) -> InputError:
    """Return the error for a template that cannot be filled."""
    where = Path(template.origin).name if template.origin else "chat template"
    return InputError(
        f"The chat template cannot be filled: {what.rstrip('.')}.",
        where=template.origin or where,
        hint="save the chat template again as it was in training",
    )
