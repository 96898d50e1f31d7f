"""Decides how a model gets the prompts that it was trained with: the first of several ways that is proved.

The prompts of the base come first, then those without its TEMPLATE, then a TEMPLATE that is derived from the
chat template that was trained. What the author of an adapter sets is only compared.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ollama_pack.chat.renderer import ChatRenderer
from ollama_pack.chat.trained import ChatTemplate
from ollama_pack.errors import DestinationError, InputError, UnsupportedError
from ollama_pack.lora.peft.chat_template import read_chat_template
from ollama_pack.modelfile.editing import with_command
from ollama_pack.modelfile.syntax import Modelfile
from ollama_pack.pipeline.form import plan_package
from ollama_pack.pipeline.inputs import BuildInputs
from ollama_pack.pipeline.prepare import BuildPlan
from ollama_pack.pipeline.prompt.installed import base_of_package
from ollama_pack.pipeline.prompt.sent import PromptBase
from ollama_pack.pipeline.prompt.verdict import NONE_TRAINED, PromptVerdict, prompt_error, reason_of_prompt
from ollama_pack.pipeline.request import PROMPT_CHOICES

if TYPE_CHECKING:
    from ollama_pack.chat.sent import SentPrompt
    from ollama_pack.ollama.versions import Version
    from ollama_pack.verify.prompt import PromptComparison

_AUTO, _INHERIT, _TRAINED = PROMPT_CHOICES
PASSTHROUGH = "passthrough"
"""The PARSER with which no chat template of a GGUF overrules a TEMPLATE."""


@dataclass(frozen=True, slots=True)
class _Case:
    """What is compared: an adapter's chat template, and the models that may be made of it."""

    inputs: BuildInputs
    work: BuildPlan
    trained: ChatTemplate
    base: PromptBase
    renderer: ChatRenderer

    def compare(self, modelfile: Modelfile) -> tuple["PromptComparison", PromptVerdict]:
        """Compare the prompts of the model with this Modelfile.

        Raises:
            InputError: a template is damaged.
            UnsupportedError: what Ollama sends cannot be computed.
        """
        from ollama_pack.verify.prompt import prove_prompt

        sent = self.base.sent_to(plan_package(self.inputs, self.work, modelfile))
        found = prove_prompt(self.trained, sent, self.renderer)
        shown = any(sent.system in (each.trained or "") for each in found.plain)
        notes = () if shown else ("the chat template leaves out the system message",)
        return found, PromptVerdict(found.result, "", found.difference, notes, self.trained, sent)

    def ways(self, modelfile: Modelfile) -> Iterator[tuple[Modelfile, tuple[str, ...]]]:
        """Yield what may be done instead of inheriting, with what the user should know of it."""
        if (self.base.has_template or modelfile.value("TEMPLATE")) and not self.base.creates:
            yield (
                with_command(modelfile, "TEMPLATE", ""),
                ("the TEMPLATE of the base is left out: the chat template in its GGUF is the trained one",),
            )
        derived = self.derived()
        if not derived:
            return
        done = f"TEMPLATE is derived from {self.trained.origin}, because the base sends another prompt"
        own = self._with_stop(with_command(modelfile, "TEMPLATE", derived))
        yield own, (done,)
        lost = "Ollama lists neither tools nor thinking for the model"
        yield (
            with_command(own, "PARSER", PASSTHROUGH),
            (done, f"PARSER {PASSTHROUGH} keeps the chat template of the base from overruling it; {lost}"),
        )

    def added_in_front(self, comparison: "PromptComparison") -> str:
        """Return the begin-of-text token if the prompts differ in nothing else: no Ollama leaves it out."""
        bos = self.base.tokens.special.get("bos_token", "")
        defined = [each for each in comparison.plain if each.trained is not None]
        only = all(each.sent == f"{bos}{each.trained}" for each in defined)
        return bos if self.base.adds_bos and defined and only else ""

    def derived(self) -> str:
        """Return the TEMPLATE that is derived, or an empty string if there is none for this Ollama."""
        from ollama_pack.chat.derive import release_needed

        text = derived_template(self.trained, self.base, self.renderer)
        return "" if release_needed(text, self.base.version) else text

    def newer_release(self) -> str:
        """Return a clause with the release that the derived TEMPLATE needs, if this Ollama is too old."""
        from ollama_pack.chat.derive import release_needed

        text = derived_template(self.trained, self.base, self.renderer)
        needed = release_needed(text, self.base.version)
        return f"; Ollama {needed} or later can run the TEMPLATE that is derived" if needed else ""

    def _with_stop(self, modelfile: Modelfile) -> Modelfile:
        """Return a Modelfile with what ends an answer among its stops, unless its author set some."""
        from ollama_pack.chat.stops import stop_of

        vocabulary = self.base.info.vocabulary
        tokens = set(vocabulary.tokens.values()) if vocabulary else set()
        stop = stop_of(self.trained, self.renderer, tokens)
        inherited = self.base.stops
        known = {*inherited, self.base.tokens.special.get("eos_token", "")}
        if not stop or stop in known or modelfile.values("PARAMETER", "stop"):
            return modelfile
        for each in (*inherited, stop):
            modelfile = with_command(modelfile, "PARAMETER", each, key="stop")
        return modelfile


def derived_template(trained: ChatTemplate, base: PromptBase, renderer: ChatRenderer) -> str:
    """Return the TEMPLATE that is derived from a chat template, or an empty string if there is none.

    Args:
        trained: the chat template.
        base: the base, which may add the begin of text.
        renderer: what fills the chat template.

    Raises:
        InputError: the chat template is damaged.
    """
    from ollama_pack.chat.derive import derive_go_template

    bos = base.tokens.special.get("bos_token", "") if base.adds_bos else ""
    return derive_go_template(trained, renderer, bos)


def plan_prompt(
    inputs: BuildInputs,
    work: BuildPlan,
    modelfile: Modelfile,
    renderer: ChatRenderer,
    version: "Version | None" = None,
) -> tuple[Modelfile, PromptVerdict]:
    """Return the Modelfile with which the model gets the prompts that it was trained with, and the proof.

    Args:
        inputs: the resolved request; ``prompt`` says what may be changed.
        work: the plan of the build.
        modelfile: the Modelfile without such a change.
        renderer: what fills chat templates.
        version: a release of Ollama; None for that of the daemon that answers, else the latest.

    Raises:
        ProofError: the prompts differ, and no way is proved; or the user asks for a proof, and there is none.
    """
    found = _compared_case(inputs, work, modelfile, renderer, version)
    if isinstance(found, PromptVerdict):
        _require_trained(found, inputs)
        return modelfile, found
    case, verdict = found
    if verdict.is_proved or not _may_change(case, verdict):
        _require_trained(verdict, inputs)
        return modelfile, verdict
    second: tuple[Modelfile, PromptVerdict] | None = None
    for changed, notes in ((modelfile, ()), *case.ways(modelfile)):
        try:
            comparison, made = case.compare(changed)
        except (InputError, UnsupportedError):
            continue
        if comparison.result.passed:
            return changed, replace(made, notes=(*notes, *made.notes))
        if second is None and (added := case.added_in_front(comparison)):
            said = f"the tokenizer of the base adds {added} in front, which the chat template does not write"
            second = changed, replace(made, difference="", notes=(*notes, *made.notes, said))
    if second is None and verdict.result is not None:
        raise prompt_error(
            verdict,
            inputs.home,
            hint="--prompt inherit  builds the model with these prompts; --template FILE  sets a TEMPLATE of "
            f"yours{case.newer_release()}",
        )
    _require_trained(verdict, inputs)
    return second or (modelfile, verdict)


def _compared_case(
    inputs: BuildInputs,
    work: BuildPlan,
    modelfile: Modelfile,
    renderer: ChatRenderer,
    version: "Version | None",
) -> tuple[_Case, PromptVerdict] | PromptVerdict:
    """Return what is compared, with the verdict on a Modelfile; the verdict alone if nothing can be."""
    try:
        trained = read_chat_template(inputs.home)
        if trained is None:
            return PromptVerdict(why=NONE_TRAINED)
        base = base_of_package(plan_package(inputs, work, modelfile), inputs.locations, inputs.request.via)
    except (InputError, UnsupportedError, DestinationError) as error:
        return PromptVerdict(why=reason_of_prompt(error))
    base = replace(base, version=version or base.version)
    case = _Case(inputs, work, trained, base, renderer)
    try:
        return case, case.compare(modelfile)[1]
    except InputError as error:  # a damaged template: a daemon cannot be asked for it either
        return case, PromptVerdict(why=reason_of_prompt(error))
    except UnsupportedError as error:
        sent: SentPrompt | None = None
        with contextlib.suppress(InputError, UnsupportedError):
            sent = base.sent_to(plan_package(inputs, work, modelfile))
        return case, PromptVerdict(why=reason_of_prompt(error), trained=trained, sent=sent)


def _may_change(case: _Case, verdict: PromptVerdict) -> bool:
    """Return whether a prompt that is not proved may be replaced.

    That of a renderer of Ollama may be the right one, so it is only replaced if the user asks for it.
    """
    request, author = case.inputs.request, case.work.author
    own = (*author.values("TEMPLATE"), *author.values("RENDERER")) if author else ()
    if request.prompt == _INHERIT or request.template is not None or own:
        return False
    return verdict.result is not None or request.prompt == _TRAINED or not case.base.has_renderer


def _require_trained(verdict: PromptVerdict, inputs: BuildInputs) -> None:
    """Require a proof if the user asks for the prompts that were trained.

    Raises:
        ProofError: there is none.
    """
    if inputs.request.prompt == _TRAINED and not verdict.is_proved:
        raise prompt_error(verdict, inputs.home, hint="--prompt inherit  builds the model without this proof")
