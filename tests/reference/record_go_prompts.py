"""Records what Ollama makes of Go templates: tests/goldens/go-prompts.json.

It needs Go, and a checkout of Ollama as its argument: `ollama_template.go` is compiled inside it.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from go_program import GO
from go_prompts import GO_PROMPTS

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS, SPECIAL_CONVERSATIONS

GOLDEN = Path(__file__).parents[1] / "goldens" / "go-prompts.json"
THINKING = {"unset": None, "yes": True, "no": False}


def record(checkout):
    """Write what every template makes of every conversation."""
    folder = checkout / "cmd" / "ollama_template"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).parent / "ollama_template.go", folder / "main.go")
    program = folder / "program"
    subprocess.run([GO, "build", "-o", program, "./cmd/ollama_template"], check=True, cwd=checkout)
    conversations = [
        *PLAIN_CONVERSATIONS,
        *(each for some in SPECIAL_CONVERSATIONS.values() for each in some),
    ]
    recorded = {}
    for name, text in GO_PROMPTS.items():
        for each in conversations:
            for word, think in THINKING.items() if name == "thinking" else [("unset", None)]:
                asked = {"template": text, "messages": list(each.messages), "tools": each.tools}
                asked |= {"think": bool(think), "isset": think is not None}
                ran = subprocess.run(
                    [program], input=json.dumps(asked) + "\n", capture_output=True, text=True, check=True
                )
                answer = json.loads(ran.stdout)
                recorded.setdefault(name, {}).setdefault(word, {})[each.name] = answer.get("out")
    GOLDEN.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
