"""Derives a TEMPLATE from each chat template of a corpus, and records for which it is byte-equal.

Each shipped TEMPLATE is compared with the same corpus, and the one that is most like it is recorded.

`fetch_corpus.py` makes the corpus of packages of the registries: the sdist of llama-cpp-python, the package
``@huggingface/ollama-utils``, and the wheels of trl and unsloth. Of the templates themselves nothing is
recorded but a name, a digest and the verdict.

Usage: python tests/reference/chat_corpus.py FOLDER
"""

import ast
import contextlib
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from chat_examples import SPECIAL

from ollama_pack.chat.conversations import PLAIN_CONVERSATIONS
from ollama_pack.chat.derive import derive_go_template
from ollama_pack.chat.go_prompt import read_go_prompt
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError, chat_renderer
from ollama_pack.chat.sent import sent_prompt
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.chat.who_renders import PromptSource
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.modelfile.parser import parse
from ollama_pack.modelfile.template import TemplateFields, fill_template, find_template, template_names
from ollama_pack.verify.prompt import prove_prompt

NOW = datetime(2026, 1, 2)

SHIPPED = Path(__file__).parent.parent / "goldens" / "chat-shipped.json"
RECORD = Path(__file__).parent.parent / "goldens" / "chat-corpus.json"
_LITERAL = re.compile(r'gguf:\s*("(?:[^"\\]|\\.)*")')


def templates_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each chat template in the packages, some of them more than once."""
    for path in sorted(folder.rglob("*.jinja")):
        yield path.name, path.read_text("utf-8")
    for path in sorted(folder.rglob("src/chat-template-automap.ts")):
        for at, found in enumerate(_LITERAL.findall(path.read_text("utf-8"))):
            yield f"ollama-utils {at}", json.loads(found)
    for path in sorted(folder.rglob("unsloth/chat_templates.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            text = _folded(node.value) if isinstance(node, ast.Assign) else None
            if text and "{%" in text and "messages" in text:
                yield f"unsloth {ast.unparse(node.targets[0])}", text


def _folded(node: ast.expr) -> str | None:
    """Return the text that an expression of texts makes, or None if it is something else."""
    if isinstance(node, ast.BinOp):
        sides = _folded(node.left), _folded(node.right)
        return None if None in sides else "".join(map(str, sides))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def verdict_on(text: str, renderer: ChatRenderer) -> str:
    """Return ``equal``, or why there is no TEMPLATE that makes the same prompts."""
    template = ChatTemplate(text, SPECIAL)
    try:
        derived = derive_go_template(template, renderer)
        if not derived:
            return "none derived"
        sent = sent_prompt(PromptSource(derived, parser="passthrough"), None, ChatTemplate("", SPECIAL))
        result = prove_prompt(template, sent, renderer).result
    except (InputError, UnsupportedError, ConversationRefusedError) as error:
        return f"not computed: {error}".splitlines()[0][:80]
    return "equal" if result.passed else f"not equal: {result.worst}"


def prompts_of(text: str, renderer: ChatRenderer) -> list[str | None]:
    """Return the prompts of the plain conversations, without the begin of text, which Ollama adds."""
    template = ChatTemplate(text, SPECIAL)
    found: list[str | None] = []
    for conversation in PLAIN_CONVERSATIONS:
        try:
            found.append(renderer.render(template, conversation).removeprefix(SPECIAL["bos_token"]))
        except ConversationRefusedError:
            found.append(None)
    return found


def shipped_row(name: str, corpus: dict[str, tuple[str, list[str | None]]]) -> dict[str, object]:
    """Return the chat template that a shipped TEMPLATE is most like, and where it differs."""
    made = parse(fill_template(find_template(name), TemplateFields(base="x")), where=name)
    prompt = read_go_prompt(made.value("TEMPLATE"))
    sent = [prompt.fill(each.messages, NOW.date()) for each in PLAIN_CONVERSATIONS]

    def different(digest: str) -> list[str]:
        sides = zip(PLAIN_CONVERSATIONS, sent, corpus[digest][1], strict=True)
        return [each.name for each, ours, theirs in sides if ours != theirs]

    best = min(corpus, key=lambda digest: len(different(digest)))
    return {"template": name, "like": corpus[best][0], "sha256": best, "different": different(best)}


def main() -> None:
    """Record the verdict on each distinct template, and what each shipped one is like."""
    rows: dict[str, dict[str, str]] = {}
    corpus: dict[str, tuple[str, list[str | None]]] = {}
    with chat_renderer(NOW) as renderer:
        for name, text in templates_in(Path(sys.argv[1])):
            digest = hashlib.sha256(text.encode()).hexdigest()
            if digest in rows:
                continue
            rows[digest] = {"name": name, "sha256": digest, "verdict": verdict_on(text, renderer)}
            with contextlib.suppress(InputError):
                corpus[digest] = name, prompts_of(text, renderer)
    shipped = [shipped_row(name, corpus) for name in template_names() if name != "inherit"]
    for path, found in ((RECORD, list(rows.values())), (SHIPPED, shipped)):
        path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    counts = Counter(row["verdict"].partition(":")[0] for row in rows.values())
    sys.stdout.write(f"{len(rows)} {dict(counts)}\n")


if __name__ == "__main__":
    main()
