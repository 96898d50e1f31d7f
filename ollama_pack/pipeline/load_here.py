"""The load proof without Ollama: llama.cpp loads the model and its base, and their answers differ."""

from pathlib import Path

from ollama_pack.deliver.package import Package
from ollama_pack.engine.answers import Asked, Weights
from ollama_pack.engine.llama import Llama, running_llama
from ollama_pack.errors import DestinationError, InputError, ProofError
from ollama_pack.gguf.constants import INVOCATION_TOKENS
from ollama_pack.pipeline.merging.merge import require_base_file
from ollama_pack.verify.load import Answer, compare_answers, require_change
from ollama_pack.verify.result import ProofResult

_SHORT_ANSWER = {"temperature": 0.0, "seed": 1, "num_predict": 8}
_CONTEXT = 512


def prove_load_here(package: Package, base: Path | None, *, allow_noop: bool = False) -> ProofResult:
    """Prove that llama.cpp loads a model, and that its answers differ from those of the base.

    Args:
        package: the model, whose file is written.
        base: the GGUF file of its base, or None if it is not at hand. A merged model loads without it, and
            nothing is compared.
        allow_noop: whether the answers may equal those of the base.

    Raises:
        UsageError: llama.cpp is not installed, or the weights of the base are not at hand.
        ProofError: llama.cpp does not load the model, or it answers as its base does.
        UnsupportedError: the model is larger than the memory of this machine.
    """
    label, before = package.name.display, package.merged_from or package.base
    adapters = (package.file,) if package.adapter is not None else ()
    if adapters:
        base = base or require_base_file(before, "llama.cpp")
    called = (before.tag or (before.gguf.name if before.gguf else "its base")) if base else ""
    said: dict[str, list[Answer]] = {}
    try:
        if base is not None:
            with running_llama(Weights(base, adapters, _CONTEXT)) as llama:
                said[called] = _answers(llama, None)
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
    may_equal = allow_noop or INVOCATION_TOKENS in package.adapter_header().metadata
    return require_change(
        compare_answers(label, called, lambda name, _: next(asked[name]), may_equal=may_equal)
    )


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
