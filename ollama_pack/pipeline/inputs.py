"""READ  what a request names: the adapter, of one directory or several, and the author's Modelfile.txt."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.table import get_arch
from ollama_pack.base.catalog import base_from_entry, find_entry
from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.find import BaseReferences, find_base, no_source, same_base
from ollama_pack.base.hf_cache import find_local
from ollama_pack.base.hf_config import HfConfig, read_config
from ollama_pack.base.model import BaseModel
from ollama_pack.base.online import find_online, hub_config
from ollama_pack.errors import DestinationError, InputError, UnsupportedError
from ollama_pack.lora.adapter import Adapter, layer_of
from ollama_pack.lora.combine import scale_adapter, sum_adapters
from ollama_pack.lora.peft.directory import CONFIG_FILE
from ollama_pack.lora.peft.load import read_adapter
from ollama_pack.lora.peft.run_directory import run_of
from ollama_pack.lora.peft.tokenizer import read_tokenizer
from ollama_pack.modelfile.file import read_modelfile
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.ollama.names import DEFAULT_TAG
from ollama_pack.pipeline.request import Request
from ollama_pack.run.checkpoints import ALL, choose


def read_all_adapters(request: Request) -> Adapter:
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
    return scale_adapter(sum_adapters(adapters, weights), request.scale)


def resolve_base(request: Request, adapter: Adapter) -> BaseModel:
    """Return the base that is asked for; the web is asked about it only where the user said so.

    Raises:
        InputError: nothing names a base, it is unknown, or its file is damaged.
        UnsupportedError: it is known, but not the numbers a conversion needs.
        DestinationError: the web does not answer.
    """
    from ollama_pack.base.installed import base_of_installed

    author = author_modelfile(request)
    clues = BaseReferences(
        option=request.base,
        modelfile_from=author.value("FROM") if author else "",
        directory=Path(author.where).parent if author else request.directory,
        adapter_base=adapter.base_id,
    )
    online = partial(find_online, environment=os.environ) if request.online else no_source
    base = find_base(clues, partial(base_of_installed, request.places), online)
    return _fill_missing_hparams(base, request, adapter.base_id)


def _fill_missing_hparams(base: BaseModel, request: Request, base_id: str) -> BaseModel:
    """Return a base with what neither its name tells (states, experts) nor its GGUF file (multipliers).

    An installed model of that name tells the first, config.json of the base both.

    Raises:
        InputError: config.json is damaged.
        DestinationError: the web does not answer.
    """
    from ollama_pack.base.installed import base_of_installed

    arch = get_arch(base.hparams.arch)
    if arch is None:
        return base
    scaled = not base.hparams.multipliers and any(weight.scale for weight in arch.weights)
    stateless = arch.needs_ssm_sizes and not base.hparams.ssm.heads and base.tensors is None
    if stateless and base.tag and (there := base_of_installed(request.places, base.tag)) is not None:
        return replace(there, source_id=base.source_id, notes=base.notes)
    config = _config_of((base_id, base.source_id), request) if scaled or stateless else None
    if config is None:
        return base
    told = config.base()
    if stateless:
        base = replace(
            base,
            hparams=replace(
                base.hparams,
                ssm=told.hparams.ssm,
                experts=told.hparams.experts,
                heads_per_layer=told.hparams.heads_per_layer,
            ),
        )
    return replace(base, hparams=replace(base.hparams, multipliers=told.hparams.multipliers))


def expected_base(request: Request, base_id: str, blocks: int = 0) -> ExpectedBase:
    """Return what is known of the base that an adapter was trained on, from what lies beside it and its id.

    Args:
        request: whose home has the tokenizer.
        base_id: what the adapter calls its base, empty where it does not.
        blocks: how many blocks that base has, by what the adapter changes; 0 where that tells nothing.
    """
    vocabulary, notes = read_tokenizer(request.home)
    entry = find_entry(base_id) if base_id else None
    source_id = entry.source_id if entry is not None else base_id
    hparams, rope_base, context = None, 0.0, 0
    with contextlib.suppress(UnsupportedError):  # a row without numbers
        hparams = base_from_entry(entry).hparams if entry is not None else None
    try:
        config = _config_of((base_id, source_id), request)
        if config is not None:
            rope_base, context = config.positions()
            catalog, hparams = hparams, config.base().hparams
            notes = (*notes, *_source_differences(catalog, hparams, config.origin))
    except (InputError, DestinationError) as error:
        notes = (*notes, f"the base is not compared with {error.where}: {error.clause}")
    except UnsupportedError:  # a class that has no row yet
        pass
    return ExpectedBase(
        base_id=source_id,
        rope_base=rope_base,
        context=context,
        hparams=hparams,
        vocabulary=vocabulary,
        blocks=blocks,
        strict=request.strict,
        accepted=frozenset(request.base_mismatch_ok),
        notes=notes,
    )


def _config_of(names: Sequence[str], request: Request) -> HfConfig | None:
    """Return config.json of a base: of a copy on this machine, else from the web, where that may be asked.

    Raises:
        InputError: it is damaged.
        DestinationError: the web does not answer.
    """
    for name in names:
        if (local := find_local(name, os.environ)) is not None:
            return read_config(local)
    return hub_config(names[-1], os.environ) if request.online else None


def _source_differences(catalog: HParams | None, config: HParams, origin: str) -> Iterator[str]:
    """Yield in what two sources of one base's numbers differ; config.json counts."""
    for name in ("arch", "blocks", "heads", "kv_heads", "head_dim", "hidden") if catalog else ():
        one, other = getattr(catalog, name), getattr(config, name)
        if one != other:
            yield f"{origin} says {name} = {other}, and the catalog {one}: config.json counts"


def layer_count(adapter: Adapter) -> int:
    """Return how many blocks the base has by what its adapter changes, 0 where it changes only some."""
    if adapter.config.get("layers_to_transform") is not None:
        return 0
    numbers = {layer_of(pair.module) for pair in adapter.pairs} - {None}
    return len(numbers) if numbers == set(range(len(numbers))) else 0


def author_modelfile(request: Request) -> Modelfile | None:
    """Return the author's Modelfile.txt: beside the adapter, else in the directory named, else in its run.

    Raises:
        InputError: it cannot be read, or is no Modelfile.
    """
    run = run_of(request.home)
    author = read_modelfile(request.home) or read_modelfile(request.directory)
    return author or (read_modelfile(run) if run is not None else None)


def requests_for(request: Request, which: str) -> tuple[Request, ...]:
    """Return a request for each checkpoint that is meant, which makes the model ``run:checkpoint-N``.

    Args:
        request: whose directory is the run; its name may have no tag.
        which: a step, ``latest``, ``best`` or ``all``.

    Raises:
        InputError: there is no such checkpoint, or the name has a tag.
    """
    chosen = choose(request.directory, which)
    name = request.model
    if name.tag != DEFAULT_TAG:
        raise InputError(
            f"The name {name} has a tag, and each checkpoint is a tag of its own.",
            hint=f"the name {name.model}",
        )
    return tuple(
        replace(
            request,
            directory=each.directory,
            name=str(replace(name, tag=each.name.lower())),
            out=request.out and (request.out / each.name if which == ALL else request.out),
        )
        for each in chosen
    )
