"""READ  what a request names: the adapter, of one directory or several, and the author's Modelfile.txt."""

from ollama_pack.adapters import CONFIG_FILE, read_adapter
from ollama_pack.adapters.sums import sum_adapters, weigh
from ollama_pack.bases.find import same_base
from ollama_pack.errors import InputError
from ollama_pack.modelfile import Modelfile
from ollama_pack.packing import read_author
from ollama_pack.parts import Adapter
from ollama_pack.request import Request


def read_adapters(request: Request) -> Adapter:
    """Return the adapter that is asked for: one, or the weighted sum of several.

    Raises:
        InputError: one is damaged, or they were trained on different bases.
        UnsupportedError: one cannot be expressed exactly.
    """
    adapters = [
        read_adapter(path, adapter=request.adapter, allow_noop=request.allow_noop)
        for path in request.directories
    ]
    for other in adapters[1:]:
        if not request.base and not same_base(adapters[0].base_id, other.base_id):
            raise InputError(
                f"The adapters were trained on different bases: {adapters[0].base_id} and {other.base_id}.",
                where=other.directory / CONFIG_FILE,
                hint="--base, if they are the same weights under two names",
            )
    weights = request.weights or (1.0,) * len(adapters)
    return weigh(sum_adapters(adapters, weights), request.scale)


def author_of(request: Request) -> Modelfile | None:
    """Return the author's Modelfile.txt: the one beside the adapter, else the one in the directory named.

    Raises:
        InputError: it cannot be read, or is no Modelfile.
    """
    return read_author(request.home) or read_author(request.directory)
