"""The command ``ollama-pack archs``."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import click

from ollama_pack.arch.evidence import EVIDENCE_KINDS, LOGITS, evidence_of
from ollama_pack.arch.spec import Arch, Weight
from ollama_pack.arch.table import all_archs, require_arch
from ollama_pack.cli import options
from ollama_pack.cli.completion import known_architectures, names_of
from ollama_pack.cli.output import print_json
from ollama_pack.cli.say import say
from ollama_pack.lora.unsupported import RULES


@click.command("archs")
@click.argument("name", required=False, default="", shell_complete=names_of(known_architectures))
@options.as_json
def archs_command(*, name: str, as_json: bool) -> None:
    """List the architectures that can be converted, or the modules of one, with their proofs.

    NAME is an architecture of llama.cpp, a class of Hugging Face, or its model_type. The third column says
    how a module was proved: "logits" by comparison with PEFT's logits, "converter" by comparison with the
    output of llama.cpp's converter. A dash means that the module is supported, but was not measured.

    \b
    Examples:
      ollama-pack archs llama
      ollama-pack archs Qwen3MoeForCausalLM
    """
    archs = find_archs(name) if name else all_archs()
    if as_json:
        print_json("archs", {"archs": [facts(arch) for arch in archs]})
        return
    for label, line in chain(*map(details, archs)) if name else summaries():
        say(line, label)


def facts(arch: Arch) -> dict[str, Any]:
    """Return the JSON object of an architecture."""
    return {
        "name": arch.name,
        "classes": list(arch.hf_classes),
        "weights": [
            {
                "module": weight.module,
                "tensor": weight.tensor,
                "rows": order_name(weight.rows),
                "columns": order_name(weight.columns),
                "scaled": weight.scale is not None,
                "adaptable": not weight.unsupported,
                "proved": standing(weight, arch.name),
            }
            for weight in arch.weights
        ],
        "proved": [
            {"class": proof.model, "by": proof.way, "date": proof.date, "modules": list(proof.modules)}
            for proof in evidence_of(arch.name)
        ],
    }


def summaries() -> Iterator[tuple[str, str]]:
    """Yield the name of each architecture, and its strongest and latest proof with its classes."""
    width = max(len(arch.name) for arch in all_archs())
    for arch in all_archs():
        proof = max(evidence_of(arch.name), key=lambda proof: (proof.way == LOGITS, proof.date))
        yield f"{arch.name:<{width}}  ", f"{proof.way:<9} {proof.date}  {', '.join(arch.hf_classes)}"


def details(arch: Arch) -> Iterator[tuple[str, str]]:
    """Yield a label and a line for each module of an architecture, then the proofs of each class."""
    module_width = max(len(weight.module) for weight in arch.weights)
    tensor_width = max(len(weight.tensor) for weight in arch.weights)
    yield f"{arch.name}: ", ", ".join(arch.hf_classes)
    yield "", ""
    for weight in arch.weights:
        proved = "unsupported" if weight.unsupported else standing(weight, arch.name) or "-"
        label = f"{weight.module:<{module_width}}  "
        yield label, f"{weight.tensor:<{tensor_width}}  {proved:<11}  {note(weight)}"
    for proof in evidence_of(arch.name):
        yield "", ""
        yield "proved ", f"for {proof.model} on {proof.date}: {EVIDENCE_KINDS[proof.way]}"
        yield "  ", ", ".join(proof.modules)
    yield "", ""


def standing(weight: Weight, arch: str) -> str:
    """Return how a module was proved for any class of its architecture, or an empty string if it was not."""
    names = {weight.module.rpartition(".")[2]} | ({"experts"} if weight.has_experts else set())
    ways = {proof.way for proof in evidence_of(arch) if names & set(proof.modules)}
    return "" if weight.unsupported else next((way for way in EVIDENCE_KINDS if way in ways), "")


def note(weight: Weight) -> str:
    """Return how the rows and columns of a weight are changed, or why it cannot have LoRA.

    An empty string is returned if nothing changes.
    """
    if weight.unsupported:
        rule = RULES[weight.unsupported]
        return f"{rule.feature}: {rule.reason}"
    rows, columns = order_name(weight.rows), order_name(weight.columns)
    scaled = "multiplied by numbers of config.json" if weight.scale else ""
    return "; ".join(filter(None, (rows and f"rows: {rows}", columns and f"columns: {columns}", scaled)))


def find_archs(name: str) -> tuple[Arch, ...]:
    """Return the architectures that have this name, or a class of this name or model_type.

    Case and punctuation are ignored.

    Raises:
        UnsupportedError: there is no such architecture.
    """
    wanted = _letters(name)
    named = tuple(arch for arch in all_archs() if _letters(arch.name) == wanted)
    classes = tuple(
        arch for arch in all_archs() if any(wanted in _short_names(known) for known in arch.hf_classes)
    )
    return named or classes or (require_arch(name),)


def _short_names(known: str) -> tuple[str, ...]:
    """Return the ways to write a class: its whole name, and its name without the usual endings."""
    whole = _letters(known)
    stem = whole.removesuffix("forcausallm").removesuffix("forconditionalgeneration")
    return whole, stem, f"{stem}text"


def _letters(name: str) -> str:
    """Return the letters and digits of a name in lower case."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def order_name(order: object) -> str:
    """Return the name of a row order, or an empty string if the rows keep their order."""
    return str(getattr(order, "__name__", "")).replace("_", " ")
