"""The model card of a release, as Hugging Face's Hub reads it."""

import json
from collections.abc import Mapping
from typing import Any

from ollama_pack.disk.files import megabytes
from ollama_pack.errors import one_line
from ollama_pack.pipeline.release.papers.names import name_of_base

_MARKUP_OF_CARD = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|"})


def model_card(record: Mapping[str, Any]) -> str:
    """Return the model card of a release: what it was made of, how it is run, and what was proved."""
    base, licenses, model = record["base"], record["licenses"], record["model"]
    merged = record["form"] == "merged"
    source = base["source_id"] or record["adapter"]["trained_on"]
    # Where the base is in the file, its terms go on with it; the card has one licence.
    of_base = merged and licenses["conflict"] and licenses["base"]
    shown = of_base or licenses["adapter"] or licenses["base"]
    front = {
        "base_model": source,
        "base_model_relation": ("finetune" if merged else "adapter") if source else "",
        "library_name": "gguf",
        "license": shown,
    }
    # JSON is YAML, so a name cannot be taken for anything else.
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items() if value)]
    lines += ["tags:", *(f"- {tag}" for tag in ("gguf", "ollama", *(() if merged else ("lora",)))), "---", ""]
    lines += [f"# {_plain_text(model)}", "", _what_it_is(record), ""]
    lines += [
        "```sh",
        "ollama-pack verify .",
        f"ollama-pack register . {model}",
        f"ollama run {model}",
        "```",
        "",
    ]
    lines += ["| file | size | SHA-256 |", "|---|---|---|"]
    lines += [
        f"| {_plain_text(each['name'])} | {megabytes(each['bytes'])} | `{each['sha256']}` |"
        for each in record["files"]
    ]
    lines += ["", "| proof | result |", "|---|---|"]
    lines += [
        f"| {_plain_text(each['proof'])} | {_plain_text(each['summary'])} |" for each in record["proofs"]
    ]
    if "cases" in record:
        tested = record["cases"]
        lines += [f"| cases, with {_plain_text(tested['runner'])} | {_plain_text(tested['summary'])} |"]
    lines += [f"| {_plain_text(each)} | not proved |" for each in record["not_proved"]]
    if licenses["conflict"]:
        lines += ["", f"**Licences:** {_plain_text(licenses['conflict'])}."]
    return "\n".join(lines) + "\n"


def _what_it_is(record: Mapping[str, Any]) -> str:
    """Return the sentence about the adapter and its base."""
    adapter, named = record["adapter"], _plain_text(name_of_base(record))
    how = f"merged into {named}" if record["form"] == "merged" else f"for {named}, which it needs beside it"
    method = f"A {_plain_text(adapter['method'])} adapter of rank {adapter['rank']}, {how}."
    return f"{method} Made by ollama-pack {record['ollama_pack']}."


def _plain_text(value: object) -> str:
    """Return a text on one line in which Markdown finds nothing."""
    return one_line(str(value)).translate(_MARKUP_OF_CARD)
