"""Shows the prompts of an adapter, an installed model or a GGUF file, as trained and as Ollama sends them."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_pack.chat.renderer import ChatRenderer
from ollama_pack.chat.sent import SentPrompt
from ollama_pack.chat.trained import ChatTemplate, Conversation
from ollama_pack.errors import ProofError, UnsupportedError, UsageError
from ollama_pack.pipeline.prompt.installed import (
    RenderedPrompt,
    base_of_model,
    base_of_package,
    rendered_by_daemon,
)
from ollama_pack.pipeline.prompt.sent import PromptBase, chosen_version, version_of_daemon
from ollama_pack.pipeline.prompt.verdict import NONE_TRAINED, PromptVerdict, prompt_error
from ollama_pack.verify.prompt import (
    OF_TOKENIZER,
    ComparedPrompt,
    PromptComparison,
    compare_prompt,
    prove_prompt,
)

if TYPE_CHECKING:
    from ollama_pack.modelfile.syntax import Modelfile
    from ollama_pack.ollama.locations import OllamaLocations
    from ollama_pack.pipeline.inputs import BuildInputs
    from ollama_pack.pipeline.prepare import BuildPlan
    from ollama_pack.pipeline.request import Request

OF_GGUF = "the chat template in the GGUF"

_MARK = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]")
"""What a token looks like that chat templates put between texts: ``<|im_end|>``, ``</s>``, ``[INST]``."""


@dataclass(frozen=True, slots=True)
class PromptPair:
    """A chat template, and how a model gets its prompts.

    Attributes:
        trained: the chat template that the model was trained with.
        sent: how the model gets its prompts.
        base: the base that decides it.
        notes: what a build changes so that the prompts are those that were trained.
        problem: the error with which a build fails because of its prompts, or None.
    """

    trained: ChatTemplate
    sent: SentPrompt
    base: PromptBase
    notes: tuple[str, ...] = ()
    problem: ProofError | None = None

    @property
    def is_of_gguf(self) -> bool:
        """Whether the chat template is that of the GGUF; an adapter may have been trained with another."""
        return self.trained == self.base.tokens

    @property
    def sender(self) -> str:
        """Who makes the prompts, ``by the TEMPLATE, Ollama 0.33.0``, and the daemon if it was asked."""
        version = self.base.version
        release = "the latest Ollama" if version is None else f"Ollama {'.'.join(map(str, version))}"
        said = f"; {self.sent.address} was asked" if isinstance(self.sent, RenderedPrompt) else ""
        return f"by {self.sent.sender.value}, {release}{said}"

    @property
    def special(self) -> tuple[str, ...]:
        """The tokens of the base that look like marks, and its begin and end of text; the longest first."""
        vocabulary = self.base.info.vocabulary
        tokens = vocabulary.tokens if vocabulary else {}
        marks = {text for text in tokens.values() if text[:1] in ("<", "[") and _MARK.fullmatch(text)}
        return tuple(sorted(marks | set(self.base.tokens.special.values()), key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class PromptView:
    """What is known of the prompts of a model.

    Attributes:
        pair: the chat template, and how the model gets its prompts.
        proof: the comparison on the fixed conversations.
        given: the conversation of the user, compared; None if there is none.
    """

    pair: PromptPair
    proof: PromptComparison
    given: ComparedPrompt | None = None

    @property
    def telling(self) -> ComparedPrompt:
        """The first conversation that differs, else one with a system message."""
        plain = self.proof.plain
        different = [each for each in plain if each.is_defined and not each.is_equal]
        defined = [each for each in plain[1:] if each.is_defined]
        return next(iter((*different, *defined, plain[0])))


def view_prompts(pair: PromptPair, renderer: ChatRenderer, given: Conversation | None = None) -> PromptView:
    """Return the prompts of a model, compared.

    Args:
        pair: the chat template, and how the model gets its prompts.
        renderer: what fills chat templates.
        given: a conversation of the user.

    Raises:
        InputError: the chat template is damaged.
        UnsupportedError: what Ollama sends cannot be computed.
    """
    name = OF_GGUF if pair.is_of_gguf else OF_TOKENIZER
    proof = prove_prompt(pair.trained, pair.sent, renderer, name)
    own = compare_prompt(pair.trained, pair.sent, given, renderer) if given else None
    return PromptView(pair, proof, own)


def pair_of_adapter(request: "Request", against: str, renderer: ChatRenderer) -> PromptPair:
    """Return the chat template of an adapter, and how the model that a build makes of it gets its prompts.

    Args:
        request: what a build is asked for.
        against: a release of Ollama, as `chosen_version` takes it.
        renderer: what fills chat templates.

    Raises:
        PackError: nothing can be built of it, it has no chat template, or its base is not at hand.
    """
    from ollama_pack.pipeline.decide_modelfile import render_modelfile
    from ollama_pack.pipeline.inputs import resolve_inputs
    from ollama_pack.pipeline.prepare import prepare

    inputs = resolve_inputs(request)
    _trained_in(inputs.home)
    work = prepare(inputs)
    return pair_of_build(inputs, work, render_modelfile(inputs, work), renderer, against)


def pair_of_build(
    inputs: "BuildInputs",
    work: "BuildPlan",
    modelfile: "Modelfile",
    renderer: ChatRenderer,
    against: str = "",
) -> PromptPair:
    """Return the chat template of an adapter, and how the model of a planned build gets its prompts.

    Args:
        inputs: the resolved request.
        work: the plan of the build.
        modelfile: the Modelfile, in which nothing was changed for the prompts yet.
        renderer: what fills chat templates.
        against: a release of Ollama, as `chosen_version` takes it.

    Raises:
        PackError: the adapter has no chat template, or its base is not at hand.
    """
    from ollama_pack.pipeline.form import plan_package
    from ollama_pack.pipeline.prompt.plan import plan_prompt

    trained = _trained_in(inputs.home)
    notes: tuple[str, ...] = ()
    problem: ProofError | None = None
    base = base_of_package(plan_package(inputs, work, modelfile), inputs.locations, inputs.request.via)
    base = replace(base, version=chosen_version(against, inputs.locations, base.version))
    try:
        modelfile, verdict = plan_prompt(inputs, work, modelfile, renderer, base.version)
        notes = verdict.notes
    except ProofError as error:  # what differs is shown
        problem = error
    return PromptPair(trained, base.sent_to(plan_package(inputs, work, modelfile)), base, notes, problem)


def _trained_in(home: Path) -> ChatTemplate:
    """Return the chat template of an adapter.

    Raises:
        UsageError: none was saved with it.
        InputError: it is damaged.
    """
    from ollama_pack.lora.peft.chat_template import TEMPLATE_FILE, read_chat_template

    trained = read_chat_template(home)
    if trained is None:
        raise UsageError(
            f"{NONE_TRAINED[0].upper()}{NONE_TRAINED[1:]}.",
            where=home,
            hint=f"save the chat template of the training as {shlex.quote(str(home / TEMPLATE_FILE))}",
            code="no-chat-template",
        )
    return trained


def proved_template(pair: PromptPair, renderer: ChatRenderer) -> str:
    """Return the TEMPLATE that is derived from the chat template of a model, and proved.

    Raises:
        UnsupportedError: none can be derived.
        ProofError: the one that is derived makes another prompt.
    """
    from ollama_pack.chat.derive import release_needed
    from ollama_pack.chat.sent import sent_prompt
    from ollama_pack.chat.who_renders import PromptSource
    from ollama_pack.pipeline.prompt.plan import PASSTHROUGH, derived_template

    text = derived_template(pair.trained, pair.base, renderer)
    if not text:
        raise UnsupportedError(
            "No TEMPLATE can be derived from this chat template.",
            where=pair.trained.origin,
            hint="--template FILE  of build sets one that you wrote",
            code="no-derived-template",
        )
    if needed := release_needed(text, pair.base.version):
        raise UnsupportedError(
            f"The TEMPLATE that is derived from this chat template needs Ollama {needed} or later.",
            where=pair.trained.origin,
            hint=f"--against {needed}  prints it",
            code="no-derived-template",
        )
    source = PromptSource(text, parser=PASSTHROUGH)
    sent = sent_prompt(source, pair.base.version, pair.base.tokens, adds_bos=bool(pair.base.adds_bos))
    found = prove_prompt(pair.trained, sent, renderer)
    if not found.result.passed:
        verdict = PromptVerdict(found.result, difference=found.difference)
        raise prompt_error(
            verdict, Path(pair.trained.origin), hint="--template FILE  of build sets one that you wrote"
        )
    return text


def pair_of_file(path: Path, locations: "OllamaLocations", against: str) -> PromptPair:
    """Return the chat template in a GGUF file, and how a model of that file alone gets its prompts.

    Raises:
        InputError: the file is damaged, or has no chat template.
        UnsupportedError: what Ollama will do cannot be known.
    """
    from ollama_pack.base.gguf_header import read_base_gguf
    from ollama_pack.deliver.image import image_of_gguf

    base = read_base_gguf(path)
    assert base.info is not None
    version = chosen_version(against, locations, version_of_daemon(locations))
    return _pair_of_base(PromptBase(image_of_gguf(base, "", 0), base.info, None, version))


def pair_of_installed(name: str, locations: "OllamaLocations", against: str) -> PromptPair:
    """Return the chat template in the weights of an installed model, and how the model gets its prompts.

    Raises:
        DestinationError: the daemon does not show what decides the prompts, or the model is damaged.
        InputError: the file of its weights is damaged, or has no chat template.
        UnsupportedError: what Ollama will do cannot be known.
    """
    version = chosen_version(against, locations, version_of_daemon(locations))
    return _pair_of_base(base_of_model(name, locations, version)[0])


@contextmanager
def by_daemon(pair: PromptPair, name: str, locations: "OllamaLocations") -> Iterator[PromptPair]:
    """Yield the prompts of an installed model, with what its daemon renders instead of what is computed."""
    with rendered_by_daemon(name, locations, pair.sent) as sent:
        yield replace(pair, sent=sent)


def _pair_of_base(base: PromptBase) -> PromptPair:
    """Return the chat template of a base, and how the base gets its prompts."""
    if not base.jinja:
        raise UsageError(
            "The GGUF has no chat template, so there is nothing to compare.",
            where=base.info.name,
            hint="ollama-pack prompt DIR  compares with the chat template of an adapter",
            code="no-chat-template",
        )
    return PromptPair(base.tokens, base.sent(), base)
