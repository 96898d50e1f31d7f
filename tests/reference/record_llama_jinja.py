"""Records what llama.cpp's own Jinja makes of chat templates: tests/goldens/chat-llama-cpp.json.

Since 0.30 Ollama lets llama.cpp fill the chat template of a GGUF. The package ``ggufdoctor`` carries that
engine as WebAssembly. Of the corpus, which `chat_corpus.py` describes, only digests and verdicts are kept.

Usage: python tests/reference/record_llama_jinja.py FOLDER
"""

import hashlib
import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from chat_corpus import templates_in
from chat_examples import SPECIAL, TEMPLATES
from ggufdoctor.engines.llamacpp_engine import LlamaCppEngine

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError, chat_renderer
from ollama_pack.chat.sent import sent_prompt
from ollama_pack.chat.trained import ChatTemplate, Conversation
from ollama_pack.chat.who_renders import PromptSource
from ollama_pack.errors import InputError, UnsupportedError

GOLDEN = Path(__file__).parents[1] / "goldens" / "chat-llama-cpp.json"
NOW = datetime(2026, 1, 1)
"""The day of the engine, whose clock stands still."""

NOT_COMPUTED = "not computed"
CONVERSATIONS = [*PLAIN_CONVERSATIONS, *(each for some in SPECIAL_CONVERSATIONS.values() for each in some)]


def made_by(engine: LlamaCppEngine, text: str, conversation: Conversation) -> str | None:
    """Return what llama.cpp makes of a conversation, or None if it fails."""
    context: dict[str, Any] = {"messages": list(conversation.messages), **SPECIAL}
    context |= dict.fromkeys(("unk_token", "pad_token"), "")  # the package has defaults of its own
    context["preserve_reasoning"] = None  # a default of the command line that Ollama's build does not have
    context |= {"date_string": NOW.strftime("%d %b %Y"), "datetime": NOW.strftime("%b %d %Y")}
    if conversation.tools:
        context["tools"] = list(conversation.tools)
    return engine.render(text, context).text


def computed(text: str, conversation: Conversation, renderer: ChatRenderer) -> str | None:
    """Return what is computed for an Ollama that lets llama.cpp fill the chat template."""
    sent = sent_prompt(PromptSource(jinja=text), None, ChatTemplate("", SPECIAL))
    try:
        return sent.fill(conversation, renderer)
    except (ConversationRefusedError, InputError):
        return None
    except UnsupportedError:
        return NOT_COMPUTED


def verdict_on(engine: LlamaCppEngine, text: str, renderer: ChatRenderer) -> str:
    """Return ``equal``, or the first conversation whose prompts are two."""
    for each in CONVERSATIONS:
        if each.tools is not None:
            continue
        ours = computed(text, each, renderer)
        if ours == NOT_COMPUTED:
            return NOT_COMPUTED
        if ours != made_by(engine, text, each):
            return f"{'refused' if ours is None else 'not equal'}: {each.name}"
    return "equal"


def main() -> None:
    """Record the texts of our own templates, and the verdicts on those of the corpus."""
    engine, verdicts = LlamaCppEngine(), {}
    own = {
        name: {each.name: made_by(engine, text, each) for each in CONVERSATIONS}
        for name, text in TEMPLATES.items()
    }
    with chat_renderer(NOW) as renderer:
        for _, text in templates_in(Path(sys.argv[1])):
            digest = hashlib.sha256(text.encode()).hexdigest()
            if digest not in verdicts:
                verdicts[digest] = verdict_on(engine, text, renderer)
    found = {"engine": engine.version, "own": own, "corpus": verdicts}
    GOLDEN.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{Counter(each.partition(':')[0] for each in verdicts.values())}\n")
    sys.stdout.write(f"{Counter(verdicts.values())}\n")


if __name__ == "__main__":
    main()
