"""Records what transformers makes of chat templates: tests/goldens/chat-templates.json."""

import json
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import jinja2
from chat_examples import SPECIAL, TEMPLATES
from transformers.utils import chat_template_utils

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS

GOLDEN = Path(__file__).parents[1] / "goldens" / "chat-templates.json"
NOW = datetime(2026, 1, 2, 3, 4)


class Clock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls):
        """Return the time of the records."""
        return NOW


def rendered(text, conversation):
    """Return the prompt of a conversation, or in a list what the template refuses it with."""
    tools = list(conversation.tools) if conversation.tools else None
    try:
        prompts, _ = chat_template_utils.render_jinja_template(
            [list(conversation.messages)],
            tools=tools,
            chat_template=text,
            add_generation_prompt=True,
            **SPECIAL,
        )
    except jinja2.exceptions.TemplateError as error:
        return ["refused" if type(error) is jinja2.exceptions.TemplateError else "fault", str(error)]
    return prompts[0]


def record():
    """Write what every template makes of every conversation."""
    conversations = [
        *PLAIN_CONVERSATIONS,
        *(each for some in SPECIAL_CONVERSATIONS.values() for each in some),
    ]
    with patch.object(chat_template_utils, "datetime", Clock):
        recorded = {
            name: {each.name: rendered(text, each) for each in conversations}
            for name, text in TEMPLATES.items()
        }
    GOLDEN.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    record()
