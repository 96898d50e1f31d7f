"""READ  what a request names: the adapter, of one directory or several, and the author's Modelfile.txt."""

import contextlib
import os
import re
from collections.abc import Iterator

from ollama_pack.adapters import CONFIG_FILE, read_adapter
from ollama_pack.adapters.sums import sum_adapters, weigh
from ollama_pack.adapters.tokenizer import read_tokenizer
from ollama_pack.agreement import Trained
from ollama_pack.bases.catalog import base_from_entry, find_entry
from ollama_pack.bases.find import same_base
from ollama_pack.bases.hf_cache import find_local
from ollama_pack.bases.hf_config import read_hf_config, read_positions
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.modelfile import Modelfile
from ollama_pack.packing import read_author
from ollama_pack.parts import Adapter, Base
from ollama_pack.request import Request

_BLOCK = re.compile(r"\.(?:layers|h|blocks)\.([0-9]{1,6})\.")


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


def trained_on(request: Request, adapter: Adapter) -> Trained:
    """Return what is known of the base that an adapter was trained on, from what lies beside it and its id.

    Raises:
        InputError: a tokenizer file is damaged.
    """
    vocabulary, notes = read_tokenizer(request.home)
    entry = find_entry(adapter.base_id) if adapter.base_id else None
    base_id = entry.source_id if entry is not None else adapter.base_id
    numbers, rope_base, context = None, 0.0, 0
    with contextlib.suppress(UnsupportedError):  # a row without numbers
        numbers = base_from_entry(entry) if entry is not None else None
    local = find_local(adapter.base_id, os.environ) or find_local(base_id, os.environ)
    if local is not None:
        try:
            rope_base, context = read_positions(local)
            catalog, numbers = numbers, read_hf_config(local)
            notes = (*notes, *_disagreements(catalog, numbers))
        except InputError as error:
            notes = (*notes, f"the base is not compared with {error.where}: {error.clause}")
        except UnsupportedError:  # a class that has no row yet
            pass
    return Trained(
        base_id=base_id,
        rope_base=rope_base,
        context=context,
        numbers=numbers,
        vocabulary=vocabulary,
        blocks=_blocks(adapter),
        strict=request.strict,
        accepted=frozenset(request.base_mismatch_ok),
        notes=notes,
    )


def _disagreements(catalog: Base | None, config: Base) -> Iterator[str]:
    """Yield in what two sources of one base's numbers differ; config.json counts."""
    for name in ("arch", "blocks", "heads", "kv_heads", "head_dim", "hidden") if catalog else ():
        one, other = getattr(catalog, name), getattr(config, name)
        if one != other:
            yield f"{config.origin} says {name} = {other}, and the catalog {one}: config.json counts"


def _blocks(adapter: Adapter) -> int:
    """Return how many blocks the base has by what its adapter changes, 0 where it changes only some."""
    if adapter.config.get("layers_to_transform") is not None:
        return 0
    numbers = {int(match[1]) for pair in adapter.pairs if (match := _BLOCK.search(pair.module))}
    return len(numbers) if numbers == set(range(len(numbers))) else 0


def author_of(request: Request) -> Modelfile | None:
    """Return the author's Modelfile.txt: the one beside the adapter, else the one in the directory named.

    Raises:
        InputError: it cannot be read, or is no Modelfile.
    """
    return read_author(request.home) or read_author(request.directory)
