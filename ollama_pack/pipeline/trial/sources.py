"""What may be tried: an adapter before any build, a build's folder, an installed model, a GGUF file."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.base.find import BaseReferences, find_base
from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.base.installed import base_of_installed, base_with_file
from ollama_pack.base.model import BaseModel
from ollama_pack.chat.renderer import ChatRenderer
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.disk.files import Note
from ollama_pack.errors import DestinationError, InputError, ProofError, UnsupportedError, UsageError
from ollama_pack.gguf.constants import INVOCATION_TOKENS, MERGED_ADAPTER
from ollama_pack.gguf.reader import read_gguf
from ollama_pack.lora.peft.chat_template import read_chat_template
from ollama_pack.ollama.locations import OllamaLocations, locations_from
from ollama_pack.pipeline.built_folder import read_release
from ollama_pack.pipeline.convert import convert
from ollama_pack.pipeline.decide_modelfile import render_modelfile
from ollama_pack.pipeline.form import plan_package
from ollama_pack.pipeline.inputs import BuildInputs, resolve_inputs
from ollama_pack.pipeline.merging.merge import merge, require_base_file
from ollama_pack.pipeline.output_dir import adapter_home, built_folder, holds_adapter
from ollama_pack.pipeline.prepare import (
    GGUF_NAME,
    MERGED_NAME,
    BuildPlan,
    compare_base_file,
    prepare,
    silent,
)
from ollama_pack.pipeline.prompt.installed import base_of_model, base_of_package
from ollama_pack.pipeline.prompt.plan import plan_prompt
from ollama_pack.pipeline.prompt.sent import PromptBase, version_of_daemon
from ollama_pack.pipeline.prompt.verdict import reason_of_prompt
from ollama_pack.pipeline.request import Request
from ollama_pack.pipeline.trial.trial import (
    ADAPTED_VOICE,
    BASE_VOICE,
    SENT,
    Trial,
    Voice,
    choose_prompts,
    ending_of,
)

if TYPE_CHECKING:
    from ollama_pack.chat.sent import SentPrompt
    from ollama_pack.deliver.package import Package

_READER = "llama.cpp"


@dataclass(frozen=True, slots=True)
class TrialSetting:
    """What every source needs.

    Attributes:
        renderer: what fills chat templates.
        folder: a temporary folder for what is converted.
        prompt: ``sent`` or ``trained``.
        note: called after each stage, with the name of the stage and the value that it made.
    """

    renderer: ChatRenderer
    folder: Path
    prompt: str = SENT
    note: Note = silent


def prepare_trial(requests: Sequence[Request], setting: TrialSetting) -> Trial:
    """Return what a user wants to try.

    Args:
        requests: what is asked for: one request, or one for each checkpoint of a run. The directory of a
            request may also be the path of a GGUF file or the name of an installed model.
        setting: what every source needs.

    Raises:
        PackError: nothing can be built of it, or its weights are not at hand.
    """
    first = requests[0]
    if len(requests) > 1:
        return _trial_of_checkpoints(requests, setting)
    if first.directory.is_file():
        return _trial_of_file(first, setting)
    if not first.directory.is_dir() and _may_be_model(first.directory):
        return _trial_of_installed(first, setting)
    if first.directory.is_dir() and not holds_adapter(first.directory) and _is_build(first.directory):
        return _trial_of_build(first, setting)
    return _trial_of_adapter(first, setting)


def _trial_of_adapter(request: Request, setting: TrialSetting) -> Trial:
    """Return the trial of an adapter directory, which is converted, or merged if the user asks for that."""
    inputs = resolve_inputs(request)
    work = prepare(inputs, setting.note)
    voices = _voices_of(inputs, work, setting, ADAPTED_VOICE)
    return _with_prompts(str(request.directory), voices, inputs, work, setting)


def _trial_of_checkpoints(requests: Sequence[Request], setting: TrialSetting) -> Trial:
    """Return the trial of several checkpoints on one base, whose prompts are those of the last one."""
    voices: list[Voice] = []
    for request in {each.directory: each for each in requests}.values():
        inputs = resolve_inputs(request)
        work = prepare(inputs, setting.note)
        base, *own = _voices_of(inputs, work, setting, inputs.home.name)
        voices += [*own] if voices else [base, *own]
    return _with_prompts(str(requests[0].directory.parent), tuple(voices), inputs, work, setting)


def _voices_of(inputs: BuildInputs, work: BuildPlan, setting: TrialSetting, name: str) -> tuple[Voice, Voice]:
    """Convert an adapter, or merge it, and return the base and the adapted model."""
    held = base_with_file(inputs.locations, work.base)
    file = require_base_file(held, _READER)
    if work.base_check is None:
        for line in compare_base_file(held, work.trained, work.plan) or ():
            setting.note("base", line)
    folder = setting.folder / name
    folder.mkdir()
    base = Voice(BASE_VOICE, file)
    if inputs.request.merge:
        merged = merge(work, folder / MERGED_NAME, inputs.request, setting.note)
        return base, Voice(name, merged.path)
    lora, _ = convert(work, folder / GGUF_NAME, inputs.request.outtype, setting.note)
    return base, Voice(name, file, lora.path, bool(work.adapter.invocation))


def _with_prompts(
    name: str, voices: tuple[Voice, ...], inputs: BuildInputs, work: BuildPlan, setting: TrialSetting
) -> Trial:
    """Return the trial with the prompts and the PARAMETERs of the model that a build would make."""
    modelfile = render_modelfile(inputs, work)
    notes: list[str] = []
    try:
        modelfile, verdict = plan_prompt(inputs, work, modelfile, setting.renderer)
        notes += verdict.notes
        setting.note("prompt", verdict)
    except ProofError as error:  # a build would stop here, but a trial shows what the difference does
        notes.append(error.clause.partition("\n")[0])
    package = plan_package(inputs, work, modelfile)
    trained = read_chat_template(inputs.home)
    return _trial_of_package(name, voices, package, inputs.locations, (trained, tuple(notes), setting))


def _trial_of_package(
    name: str,
    voices: tuple[Voice, ...],
    package: "Package",
    locations: OllamaLocations,
    known: tuple[ChatTemplate | None, tuple[str, ...], TrialSetting],
) -> Trial:
    """Return the trial of a package: its prompts and its PARAMETERs, those of its base included."""
    trained, notes, setting = known
    parameters, sent, why, tokens = package.parameters, None, "", frozenset[str]()
    try:
        base = base_of_package(package, locations, "store")
        parameters = base.parameters(package)
        tokens = base.texts
        sent = base.sent_to(package)
    except (InputError, UnsupportedError, DestinationError) as error:
        why = reason_of_prompt(error)
    prompts, more = choose_prompts(setting.prompt, sent, why, trained, package.system)
    end = ending_of(prompts, tokens, setting.renderer)
    return Trial(name, voices, prompts, parameters, (*notes, *more), end)


def _trial_of_build(request: Request, setting: TrialSetting) -> Trial:
    """Return the trial of the files of an earlier build."""
    package = read_release(request)
    locations = locations_from(os.environ, built_folder(request.directory), request.store)
    trained = read_chat_template(adapter_home(built_folder(request.directory)))
    if package.adapter is None:
        before = package.merged_from
        named = replace(request, base=request.base or (before.tag if before else ""))
        voices = _voices_of_merged(package.file, named, locations)
    else:
        held = base_with_file(locations, package.base)
        voices = _voices_on(require_base_file(held, _READER), package.adapter.path)
    return _trial_of_package(str(request.directory), voices, package, locations, (trained, (), setting))


def _trial_of_installed(request: Request, setting: TrialSetting) -> Trial:
    """Return the trial of an installed model, whose weights are in a store that can be read here."""
    from ollama_pack.ollama.manifest import ADAPTER_TYPE, MODEL_TYPE
    from ollama_pack.ollama.store_layout import blob_path

    name = str(request.directory)
    locations = locations_from(os.environ, store=request.store)
    base, store = base_of_model(name, locations, version_of_daemon(locations))
    if store is None:
        raise DestinationError(
            f"The weights of {name} are in no store that can be read here.",
            where=locations.shown,
            hint="run the same command on the machine of the daemon, as a user who may read its store",
        )
    blobs = {
        kind: [blob_path(store, layer.digest) for layer in base.image.layers if layer.media_type == kind]
        for kind in (MODEL_TYPE, ADAPTER_TYPE)
    }
    (weights,) = blobs[MODEL_TYPE]
    if len(blobs[ADAPTER_TYPE]) > 1:
        raise UnsupportedError(f"{name} has several adapters, and only one at a time can be tried.")
    adapters = blobs[ADAPTER_TYPE]
    voices = _voices_on(weights, adapters[0]) if adapters else _voices_of_merged(weights, request, locations)
    *before, own = voices
    named = [replace(voice, installed=request.base) for voice in before]
    return _trial_of_base(name, (*named, replace(own, installed=name)), base, setting)


def _trial_of_file(request: Request, setting: TrialSetting) -> Trial:
    """Return the trial of a GGUF file: of a LoRA beside its base, or of a model."""
    from ollama_pack.deliver.image import image_of_gguf

    path, locations = request.directory, locations_from(os.environ, store=request.store)
    if read_gguf(path).text("general.type") == "adapter":
        if not request.base:
            raise UsageError(
                "A GGUF LoRA file needs its base.",
                where=path,
                hint="--base FILE.gguf, with the GGUF file of the model that it was trained on",
                code="base-not-named",
            )
        held = _base_named(request, locations)
        voices = _voices_on(require_base_file(held, _READER), path)
    else:
        held = read_base_gguf(path)
        voices = _voices_of_merged(path, request, locations)
    assert held.info is not None
    base = PromptBase(image_of_gguf(held, "", 0), held.info, None, version_of_daemon(locations))
    return _trial_of_base(str(path), voices, base, setting)


def _trial_of_base(name: str, voices: tuple[Voice, ...], base: PromptBase, setting: TrialSetting) -> Trial:
    """Return the trial of a model that is there, with its own prompts and PARAMETERs."""
    sent: SentPrompt | None = None
    why = ""
    try:
        sent = base.sent()
    except (InputError, UnsupportedError) as error:
        why = reason_of_prompt(error)
    trained = base.tokens if base.jinja else None
    prompts, notes = choose_prompts(setting.prompt, sent, why, trained)
    end = ending_of(prompts, base.texts, setting.renderer)
    return Trial(name, voices, prompts, base.parameters(), notes, end)


def _voices_on(base: Path, adapter: Path) -> tuple[Voice, ...]:
    """Return a base, and the same with an adapter."""
    activated = INVOCATION_TOKENS in read_gguf(adapter).metadata
    return Voice(BASE_VOICE, base), Voice(ADAPTED_VOICE, base, adapter, activated)


def _voices_of_merged(path: Path, request: Request, locations: OllamaLocations) -> tuple[Voice, ...]:
    """Return the base of a merged model, if it is at hand, and the merged model; or a model alone."""
    merged = MERGED_ADAPTER in read_gguf(path).metadata
    own = Voice(ADAPTED_VOICE if merged or request.base else "model", path)
    if not request.base:
        return (own,)
    return Voice(BASE_VOICE, require_base_file(_base_named(request, locations), _READER)), own


def _base_named(request: Request, locations: OllamaLocations) -> BaseModel:
    """Return the base that the user names, with its file if it is in a store."""
    found = find_base(BaseReferences(option=request.base), partial(base_of_installed, locations))
    return base_with_file(locations, found)


def _may_be_model(path: Path) -> bool:
    """Return whether a path that is not there may be the name of a model."""
    named = len(path.parts) <= len(("namespace", "model:tag")) and path.parts[:1] not in ((), ("..",), ("~",))
    return named and not path.is_absolute() and not path.exists()


def _is_build(directory: Path) -> bool:
    """Return whether a directory is that of a build."""
    from ollama_pack.modelfile import MODELFILE_NAME
    from ollama_pack.pipeline.lock import LOCK_NAME

    return (directory / LOCK_NAME).is_file() and (directory / MODELFILE_NAME).is_file()
