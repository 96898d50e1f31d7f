"""Finds models that share a runner with another one and may get a wrong prompt from it.

Ollama keeps a runner for the weights of a base, and starts it again only if the adapters or the options
change (``needsReload`` in its ``server/sched.go``). A runner that was started for a model with a TEMPLATE
does not use the template inside the GGUF file, so a model without a TEMPLATE on the same blobs gets a ChatML
prompt from it. In the opposite order, and with two TEMPLATEs, the prompts are right (tried with Ollama 0.33).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ollama_pack.doctor.findings import MINOR, Finding
from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE, TEMPLATE_TYPE, Layer
from ollama_pack.ollama.names import ModelName


def shared_runner_findings(models: Mapping[ModelName, tuple[Layer, ...]]) -> Iterator[Finding]:
    """Yield the models without a TEMPLATE that have the base and the adapter of a model with one.

    Args:
        models: the models with an adapter, and their layers.
    """
    alike: dict[tuple[str, ...], list[ModelName]] = defaultdict(list)
    with_template: dict[tuple[str, ...], ModelName] = {}
    for name, layers in models.items():
        weights = tuple(each.digest for each in layers if each.media_type in (MODEL_TYPE, ADAPTER_TYPE))
        if any(each.media_type == TEMPLATE_TYPE for each in layers):
            with_template.setdefault(weights, name)
        else:
            alike[weights].append(name)
    for weights, other in with_template.items():
        for name in alike[weights]:
            what = (
                f"it shares a runner with {other}, which has a TEMPLATE and this model has none: while "
                f"{other} is loaded, Ollama sends this model's prompts in a wrong format"
            )
            yield Finding(MINOR, str(name), what, f"ollama stop {other}  before you run {name}")
