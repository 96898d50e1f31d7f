"""Resolves a request once: its adapter directories, its name, the base, and the author's Modelfile."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.arch.hparams import HParams
from ollama_pack.arch.spec import unknown_sizes
from ollama_pack.arch.table import get_arch
from ollama_pack.base.catalog import base_from_entry
from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.find import BaseReferences, find_base, same_base
from ollama_pack.base.hf_cache import find_local
from ollama_pack.base.hf_config import HfConfig, read_config
from ollama_pack.base.lookup import find_entry
from ollama_pack.base.model import BaseModel, Positions
from ollama_pack.errors import DestinationError, InputError, UnsupportedError, UsageError
from ollama_pack.lora.adapter import Adapter, layer_of
from ollama_pack.lora.combine import LESS_START_WEIGHTS, require_its_start, scale_adapter, sum_adapters
from ollama_pack.lora.peft.directory import AdapterDirectory, resolve_directory
from ollama_pack.lora.peft.load import load_adapter
from ollama_pack.lora.peft.run_directory import CONFIG_FILE
from ollama_pack.lora.peft.tokenizer import read_tokenizer
from ollama_pack.ollama.locations import OllamaLocations, locations_from
from ollama_pack.ollama.names import ModelName
from ollama_pack.pipeline.naming import model_name, name_from_directories
from ollama_pack.pipeline.output_dir import default_output_dir, why_not_ours
from ollama_pack.pipeline.request import Request

if TYPE_CHECKING:
    from ollama_pack.modelfile.syntax import Modelfile


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInputs:
    """A request with everything resolved that depends on the disk or the environment.

    Attributes:
        request: what the user asked for.
        directories: the directory of each adapter.
        name: the name the model will have.
        output_dir: the directory for the GGUF file, Modelfile.txt and the lock.
        moved: why the output directory is not beside the adapter; empty if it is, or if the user named it.
        locations: the daemon's address, and the stores on this machine.
        environment: the environment variables of the process.
    """

    request: Request
    directories: tuple[AdapterDirectory, ...]
    name: ModelName
    output_dir: Path
    locations: OllamaLocations
    environment: Mapping[str, str]
    moved: str = ""

    @property
    def home(self) -> Path:
        """Return the directory that holds the files of the first adapter."""
        return self.directories[0].home


def resolve_inputs(request: Request, environment: Mapping[str, str] | None = None) -> BuildInputs:
    """Return a request with its directories, its name and its locations resolved; no file is read yet.

    Args:
        request: what the user asked for.
        environment: the environment variables; None for those of the process.

    Raises:
        InputError: there is no such adapter, Ollama refuses the name, or OLLAMA_HOST is not an address.
    """
    environment = os.environ if environment is None else environment
    name = model_name(request)
    directories = tuple(resolve_directory(path, request.adapter) for path in request.directories)
    output_dir, moved = _output_dir(request, directories[0].home, name, environment)
    locations = locations_from(environment, output_dir, request.store)
    return BuildInputs(
        request=request,
        directories=directories,
        name=name,
        output_dir=output_dir,
        locations=locations,
        environment=environment,
        moved=moved,
    )


def _output_dir(
    request: Request, home: Path, name: ModelName, environment: Mapping[str, str]
) -> tuple[Path, str]:
    """Return the directory for the files of a build, and why it is not where the adapter is."""
    if request.out is not None:
        return request.out, ""
    if request.others:
        own = name_from_directories(request.directories, request.adapter).model
        beside = request.directory.absolute().parent
        if not why_not_ours(beside, environment):
            return beside / own, ""
    return default_output_dir(home, name, environment)


def read_all_adapters(inputs: BuildInputs, *, by_peft: bool = False) -> Adapter:
    """Return the adapter of a request: one adapter, or the weighted sum of several.

    With `by_peft`, PEFT merges it although its method has factors.

    Raises:
        InputError: an adapter is damaged.
        UsageError: the adapters were trained on different bases.
        UnsupportedError: an adapter cannot be expressed exactly.
    """
    request = inputs.request
    less_start = request.weights == LESS_START_WEIGHTS
    adapters = [
        load_adapter(
            each,
            allow_noop=request.allow_noop,
            merging=request.merge,
            by_peft=by_peft,
            less_start=less_start,
        )
        for each in inputs.directories
    ]
    if less_start:
        require_its_start(*adapters)
    for other in adapters[1:]:
        if not request.base and not same_base(adapters[0].base_id, other.base_id):
            raise UsageError(
                f"The adapters were trained on different bases: {adapters[0].base_id} and {other.base_id}.",
                where=other.directory / CONFIG_FILE,
                hint="--base, if they are the same weights under two names",
                code="different-bases",
            )
    weights = request.weights or (1.0,) * len(adapters)
    return scale_adapter(sum_adapters(adapters, weights), request.scale)


def resolve_base(inputs: BuildInputs, adapter: Adapter, author: "Modelfile | None" = None) -> BaseModel:
    """Return the base of a request; the web is used only if the request allows it.

    Args:
        inputs: the resolved request.
        adapter: the adapter, which may name its base.
        author: the author's Modelfile.txt, whose FROM may name the base.

    Raises:
        InputError: nothing names a base, the base is unknown, or its file is damaged.
        UnsupportedError: the base is known, but not the sizes that a conversion needs.
        DestinationError: a server does not answer.
    """
    request = inputs.request
    references = BaseReferences(
        option=request.base,
        modelfile_from=author.value("FROM") if author else "",
        directory=Path(author.where).parent if author else request.directory,
        adapter_base=adapter.base_id,
    )
    base = find_base(references, partial(_installed, inputs), partial(_online, inputs))
    return _fill_missing_hparams(base, adapter.base_id, inputs)


def _installed(inputs: BuildInputs, name: str) -> BaseModel | None:
    """Return the installed Ollama model of a name, or None."""
    from ollama_pack.base.installed import base_of_installed

    return base_of_installed(inputs.locations, name)


def _online(inputs: BuildInputs, name: str) -> BaseModel | None:
    """Return the model of a name on the web; None if there is none, or the request does not allow the web."""
    if not inputs.request.online:
        return None
    from ollama_pack.base.online import find_online

    return find_online(name, inputs.environment)


def _fill_missing_hparams(base: BaseModel, base_id: str, inputs: BuildInputs) -> BaseModel:
    """Return a base with the sizes that the catalog or a GGUF header does not have.

    A row of the catalog may lack the sizes of states and experts; an installed model or config.json has them.
    A header lacks the multipliers; only config.json has them.
    See "What config.json alone knows is asked for, not guessed" in docs/decisions.md.

    Raises:
        InputError: config.json is damaged.
        DestinationError: a server does not answer.
    """
    arch = get_arch(base.hparams.arch)
    if arch is None or not unknown_sizes(arch, base.hparams):
        return base
    by_name = base.tensors is None
    if by_name and base.tag and (installed := _installed(inputs, base.tag)) is not None:
        base = replace(installed, source_id=base.source_id, notes=base.notes)
        if not unknown_sizes(arch, base.hparams):
            return base
    config = _config_of((base_id, base.source_id), inputs.environment, online=inputs.request.online)
    if config is None:
        return base
    known, hparams = config.base().hparams, base.hparams
    if base.tensors is None:
        hparams = replace(
            hparams, ssm=known.ssm, experts=known.experts, heads_per_layer=known.heads_per_layer
        )
    return replace(base, hparams=replace(hparams, multipliers=known.multipliers))


def expected_base(
    home: Path, base_id: str, request: Request, environment: Mapping[str, str], blocks: int = 0
) -> ExpectedBase:
    """Return what is known of the base that an adapter was trained on, from its tokenizer and its id.

    Args:
        home: the directory that holds the tokenizer files.
        base_id: the id of the base that the adapter names; empty if it names none.
        request: the request, which says whether the web may be used, and which mismatches are accepted.
        environment: the environment variables, which name the Hugging Face cache.
        blocks: the number of layers the adapter covers if it covers a gap-free range from 0, else 0.
    """
    vocabulary, notes = read_tokenizer(home)
    entry = find_entry(base_id) if base_id else None
    source_id = entry.source_id if entry is not None else base_id
    hparams, positions = None, entry.positions if entry is not None else Positions()
    with contextlib.suppress(UnsupportedError):  # the row of the catalog has no sizes
        hparams = base_from_entry(entry).hparams if entry is not None else None
    try:
        config = _config_of((base_id, source_id), environment, online=request.online)
        if config is not None:
            positions = config.positions().or_else(positions)
            catalog, hparams = hparams, config.base().hparams
            notes = (*notes, *_source_differences(catalog, hparams, config.origin))
    except (InputError, DestinationError) as error:
        notes = (*notes, f"the base is not compared with {error.where}: {error.clause}")
    except UnsupportedError:  # the class has no row in the table of architectures
        pass
    return ExpectedBase(
        base_id=source_id,
        positions=positions,
        hparams=hparams,
        vocabulary=vocabulary,
        blocks=blocks,
        strict=request.strict,
        accepted=frozenset(request.base_mismatch_ok),
        notes=notes,
    )


def _config_of(names: Sequence[str], environment: Mapping[str, str], *, online: bool) -> HfConfig | None:
    """Return the config.json of a base, from this machine, else from the Hub if `online`, else None.

    Raises:
        InputError: config.json is damaged.
        DestinationError: the Hub does not answer.
    """
    for name in dict.fromkeys(names):
        if (local := find_local(name, environment)) is not None:
            return read_config(local)
    if not online:
        return None
    from ollama_pack.base.online import hub_config

    return hub_config(names[-1], environment)


def _source_differences(catalog: HParams | None, config: HParams, origin: str) -> Iterator[str]:
    """Yield a message for each number in which the catalog and config.json differ."""
    for name in ("arch", "blocks", "heads", "kv_heads", "head_dim", "hidden") if catalog else ():
        one, other = getattr(catalog, name), getattr(config, name)
        if one != other:
            yield f"{origin} says {name} = {other}, but the catalog says {one}; config.json is used"


def layer_count(adapter: Adapter) -> int:
    """Return the number of layers the adapter covers if it covers a gap-free range from 0, else 0."""
    if any(adapter.config.get(key) is not None for key in ("layers_to_transform", "layer_replication")):
        return 0
    numbers = {layer_of(pair.module) for pair in adapter.pairs} - {None}
    return len(numbers) if numbers == set(range(len(numbers))) else 0
