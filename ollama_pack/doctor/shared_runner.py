"""Finds models that share a runner although their prompts are made in different ways.

Ollama keeps a runner for the weights of a base, and starts it again only if the adapters or the options
change (``needsReload`` in its ``server/sched.go``). Whether the prompt comes from a TEMPLATE or from the GGUF
file is decided when the runner starts, so a second model on the same blobs may get the prompt of the first.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ollama_pack.doctor.findings import MINOR, Finding
from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE, TEMPLATE_TYPE, Layer
from ollama_pack.ollama.names import ModelName


def shared_runner_findings(models: Mapping[ModelName, tuple[Layer, ...]]) -> Iterator[Finding]:
    """Yield the models that have the base and the adapter of another one, but another template.

    Args:
        models: the models with an adapter, and their layers.
    """
    alike: dict[tuple[str, ...], dict[str, list[ModelName]]] = defaultdict(lambda: defaultdict(list))
    for name, layers in models.items():
        weights = tuple(each.digest for each in layers if each.media_type in (MODEL_TYPE, ADAPTER_TYPE))
        template = next((each.digest for each in layers if each.media_type == TEMPLATE_TYPE), "")
        alike[weights][template].append(name)
    for by_template in alike.values():
        first, *others = by_template.values()
        for name in (each for group in others for each in group):
            what = (
                f"it shares a runner with {first[0]}, which has another template: while one is loaded, the "
                "other may answer with its prompt"
            )
            fix = f"ollama stop {first[0]}  before you run {name}, and the other way round"
            yield Finding(MINOR, str(name), what, fix)
