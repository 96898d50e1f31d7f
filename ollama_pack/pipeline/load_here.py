"""The load proof without Ollama: llama.cpp loads the model and its base, and their answers differ."""

from pathlib import Path

from ollama_pack.base.installed import base_with_file
from ollama_pack.base.model import BaseModel
from ollama_pack.deliver.package import Package
from ollama_pack.engine.answers import Asked, Weights
from ollama_pack.engine.llama import Llama, running_llama
from ollama_pack.errors import DestinationError, InputError, ProofError
from ollama_pack.files import Note
from ollama_pack.gguf.constants import INVOCATION_TOKENS
from ollama_pack.pipeline.inputs import BuildInputs
from ollama_pack.pipeline.merge import require_base_file
from ollama_pack.pipeline.sent import version_of_daemon
from ollama_pack.verify.load import Answer, compare_answers, require_change

_SHORT_ANSWER = {"temperature": 0.0, "seed": 1, "num_predict": 8}
_CONTEXT = 512


def prove_load_here(inputs: BuildInputs, package: Package, base: BaseModel, note: Note) -> None:
    """Prove in llama.cpp that a model loads and has an effect, if no daemon answers that can prove it.

    Args:
        inputs: the resolved request.
        package: the model, whose file is written.
        base: the base that the adapter was made for.
        note: called with ``proof`` and the result.

    Raises:
        UsageError: llama.cpp is not installed, or the weights of the base are not at hand.
        ProofError: llama.cpp does not load the model, or it answers as its base does.
        UnsupportedError: the model is larger than the memory of this machine.
    """
    request = inputs.request
    if request.via != "folder" and version_of_daemon(inputs.locations) is not None:
        return
    file = require_base_file(base_with_file(inputs.locations, base), "llama.cpp")
    label, called = package.name.display, base.tag or file.name
    is_alora = INVOCATION_TOKENS in package.adapter_header().metadata
    adapters = (package.file,) if package.adapter is not None else ()
    try:
        with running_llama(Weights(file, adapters, _CONTEXT)) as llama:
            said = {called: _answers(llama, None)}
            if adapters:
                said[label] = _answers(llama, 0)
        if not adapters:
            said[label] = _answers_of_merged(package.file)
    except (InputError, DestinationError) as error:
        if error.code == "extra-missing":
            raise
        raise ProofError(
            f"llama.cpp cannot load {label} ({error.clause}).",
            where=error.where,
            hint="without --load, only a daemon is asked",
            code="not-loaded",
        ) from error
    asked = {name: iter(answers) for name, answers in said.items()}
    report = compare_answers(
        label, called, lambda name, _: next(asked[name]), may_equal=request.allow_noop or is_alora
    )
    note("proof", require_change(report))


def _answers(llama: Llama, adapter: int | None) -> list[Answer]:
    """Return the answers to the prompts of the proof, with the logarithms of their probabilities."""
    from ollama_pack.verify.load import PROMPTS

    found = []
    for prompt in PROMPTS:
        said = llama.say(Asked(prompt, adapter, _SHORT_ANSWER))
        found.append(Answer(said.text, llama.likelihoods(prompt, said.text, adapter)))
    return found


def _answers_of_merged(path: Path) -> list[Answer]:
    """Return the answers of a merged model."""
    with running_llama(Weights(path, (), _CONTEXT)) as llama:
        return _answers(llama, None)
