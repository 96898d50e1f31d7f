"""Reads the adapter in a directory.

What PEFT writes is documented in its checkpoint format guide. Headers are read first, then every number
once. Everything that A and B cannot express exactly is named in one error, before anything is written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ollama_pack.errors import natural_key
from ollama_pack.gguf.tensors import Tensor
from ollama_pack.lora.adapter import Adapter, LoraPair, PeftModule
from ollama_pack.lora.factors import FactorError
from ollama_pack.lora.mergeable import MERGED_BY_PEFT, MergeViolations
from ollama_pack.lora.peft.by_peft import merged_method, peft_factors, peft_modules
from ollama_pack.lora.peft.checked_config import checked_config
from ollama_pack.lora.peft.config import (
    check_method,
    ignored_settings,
    invocation_of,
    neutral,
)
from ollama_pack.lora.peft.directory import (
    AdapterDirectory,
    AdapterSource,
    open_adapter,
    resolve_directory,
)
from ollama_pack.lora.peft.embedding_copies import embedding_copies, saved_again
from ollama_pack.lora.peft.extra_tensors import classify_extra_tensor, dropped_as
from ollama_pack.lora.peft.finite_check import (
    check_finite,
    check_finite_tensors,
    check_large,
    ungathered_tensors,
    zero_tensors,
)
from ollama_pack.lora.peft.grouping import TensorGroups, group_tensors
from ollama_pack.lora.peft.kohya import with_own_alphas
from ollama_pack.lora.peft.methods import Method
from ollama_pack.lora.peft.patterns import Matches, match_patterns
from ollama_pack.lora.peft.run_directory import CONFIG_FILE
from ollama_pack.lora.peft.scaling import TrainedScales, pattern_warnings
from ollama_pack.lora.peft.target_parameters import AdaptedParameter, split_experts
from ollama_pack.lora.peft.task import another_task
from ollama_pack.lora.peft.trained_beside import check_beside, trained_beside
from ollama_pack.lora.unsupported import RuleViolations
from ollama_pack.shown import hide_passwords

Config = Mapping[str, Any]
Modules = Mapping[AdaptedParameter, Mapping[str, Tensor]]
WHOLE = frozenset({"norm", "whole-weight", "whole-embedding", "resized"})
"""Rules for what ``modules_to_save`` leaves in a file."""

IDLE_TOWER = "weights of a vision or audio tower, on which the LoRA is exactly zero"
"""What is left out of a multimodal adapter that was trained on text alone."""


def read_adapter(directory: Path | str, *, adapter: str = "", allow_noop: bool = False) -> Adapter:
    """Return the adapter in a directory that its trainer saved.

    Args:
        directory: the directory that PEFT's ``save_pretrained``, the Trainer, mlx-lm or torchtune wrote.
        adapter: the name of one of several adapters in the directory; empty for the one at its top.
        allow_noop: whether an adapter is accepted whose ΔW is zero everywhere.

    Raises:
        InputError: a file is missing or damaged, or configuration and weights do not match.
        UnsupportedError: A and B cannot express the adapter; every tensor concerned is named.

    Example:
        >>> from ollama_pack import read_adapter
        >>> [pair.module for pair in read_adapter("ada-lovelace-lora").pairs]
        ['model.layers.0.self_attn.q_proj', 'model.layers.0.self_attn.v_proj']
    """
    check_large(found := load_adapter(resolve_directory(Path(directory), adapter), allow_noop=allow_noop))
    return found


def load_adapter(
    directory: AdapterDirectory,
    *,
    allow_noop: bool = False,
    merging: bool = False,
    by_peft: bool = False,
    less_start: bool = False,
) -> Adapter:
    """Return the adapter of a directory that is resolved already; it raises what `read_adapter` raises.

    With `merging`, tensors that only a merged model can hold are not violations, and come with the adapter.
    Large tensors are not read: `check_large` does so after their shapes were compared with the base. With
    `by_peft`, PEFT merges modules that have factors, too. With `less_start`, what the adapter began with is
    subtracted from it, so the base is the original one.
    """
    found = open_adapter(directory)
    violations = MergeViolations if merging else RuleViolations
    config, findings = found.config, violations(found.weights, found.merge_hint)
    method = check_method(config, found.directory / CONFIG_FILE)
    tensors = found.read()
    if other := another_task(config, tensors):
        raise findings.fatal("no-language-model", *other)
    if merging and isinstance(method, str) and (merged := merged_method(config)):
        return _load_merged(found, merged, findings, tensors)
    if isinstance(method, str):
        raise findings.fatal(method, f"peft_type = {config['peft_type']}", *tensors)
    config, notes = checked_config(found, method, tensors, findings, less_start=less_start)
    _require_numbers(tensors, findings)
    groups = group_tensors(tensors, method, config, findings)
    left_out, rules = _check_extra_tensors(_once(groups, tensors), config, findings)
    left_out += _check_towers(groups.towers, findings)
    keys = [owner.key for owner in groups.factors if owner.key]
    matches = match_patterns(config, keys, found.directory / CONFIG_FILE)
    pairs = tuple(_fold(groups.factors, method, config, matches, findings))
    modules: tuple[PeftModule, ...] = ()
    if merging and (by_peft or (findings.codes and MERGED_BY_PEFT.issuperset(findings.codes))):
        modules, pairs = peft_modules(groups.factors), ()
        findings.forget(MERGED_BY_PEFT)
    beside = trained_beside(rules, groups.strangers, tensors) if merging else ()
    if merging:
        check_beside(beside, pairs, config, findings)
    check_finite(pairs, findings, allow_noop=allow_noop or bool(beside or modules))
    findings.raise_if_any()
    notes = (*found.notes, *notes, *_notes(config, matches, left_out))
    source = found._replace(config=config, notes=notes)
    own = _to_adapter(source, method, with_own_alphas(pairs, groups.alphas))
    copies = embedding_copies(groups.strangers, tensors) if merging else ()
    return replace(own, beside=beside, by_peft=modules, copies=copies)


def _load_merged(
    found: AdapterSource, method: Method, findings: RuleViolations, tensors: Mapping[str, Tensor]
) -> Adapter:
    """Return an adapter of a method without factors, which is merged by PEFT or as it is.

    PEFT reads the configuration itself, so nothing of it is judged here.
    """
    config = found.config
    factors = peft_factors(config, tensors, findings)
    mine = {name for parts in factors.values() for name in parts}
    _require_numbers(tensors, findings)
    others = {name: tensor for name, tensor in tensors.items() if name not in mine}
    groups = _once(replace(group_tensors(others, method, config, findings), factors=factors), tensors)
    left_out, rules = _check_extra_tensors(groups, config, findings)
    beside = trained_beside(rules, groups.strangers, tensors)
    check_beside(beside, (), config, findings)
    modules = peft_modules(factors)
    check_finite_tensors([tensor for module in modules for tensor in module.tensors], findings)
    findings.raise_if_any()
    notes = (*found.notes, *(f"left out: {count} {what}" for what, count in left_out.items()))
    own = _to_adapter(found._replace(notes=notes), method, ())
    copies = embedding_copies(groups.strangers, tensors)
    return replace(own, beside=beside, by_peft=modules, copies=copies)


def _require_numbers(tensors: Mapping[str, Tensor], findings: RuleViolations) -> None:
    """Add a violation if there are no tensors, and raise an error if tensors have no numbers.

    Raises:
        InputError: DeepSpeed left tensors without their numbers.
    """
    if not tensors:
        findings.add("empty")
    elif empty := ungathered_tensors(tensors):
        raise findings.fatal("ungathered", *empty)


def _notes(config: Config, matches: Matches, left_out: Counter[str]) -> Iterator[str]:
    """Yield what the user should know about settings and tensors that are not used."""
    if ignored := ignored_settings(config):
        yield f"ignored in adapter_config.json, as in PEFT: {', '.join(ignored)}"
    yield from (f"left out: {count} {what}" for what, count in left_out.items())
    yield from pattern_warnings(config, matches)


def _to_adapter(found: AdapterSource, method: Method, pairs: tuple[LoraPair, ...]) -> Adapter:
    """Return the adapter of these pairs."""
    config = found.config
    return Adapter(
        directory=found.directory,
        weights=found.weights,
        pairs=pairs,
        rank=int(config[method.rank_key]) if method.rank_key else 0,
        alpha=float(config[method.alpha_key]) if method.alpha_key else 1.0,
        base_id=hide_passwords(str(config.get("base_model_name_or_path") or "")),
        config=config,
        method=method.label,
        invocation=invocation_of(config, found.directory / CONFIG_FILE),
        notes=found.notes,
    )


def _check_towers(towers: Mapping[str, Mapping[str, Tensor]], findings: RuleViolations) -> Counter[str]:
    """Return how many weights of a tower have a LoRA that changes nothing; all others are violations.

    A tower that was wrapped and never trained keeps the B that it began with: exactly zero.
    """
    zero = zero_tensors([tensor for parts in towers.values() for tensor in parts.values()])
    idle = 0
    for parts in towers.values():
        if any((tensor.path, tensor.name) in zero for tensor in parts.values()):
            idle += 1
        else:
            findings.add("vision", *(tensor.name for tensor in parts.values()))
    return Counter({IDLE_TOWER: idle} if idle else {})


def _once(groups: TensorGroups, tensors: Mapping[str, Tensor]) -> TensorGroups:
    """Return the groups without what PEFT saves a second time under another name."""
    again = saved_again(groups.strangers, tensors)
    strangers = {name: key for name, key in groups.strangers.items() if name not in again}
    return replace(groups, strangers=strangers) if again else groups


def _check_extra_tensors(
    groups: TensorGroups, config: Config, findings: RuleViolations
) -> tuple[Counter[str], Mapping[str, str]]:
    """Add a violation for every tensor that is not a factor and cannot be left out.

    Returns how many tensors of each kind are left out, and the rule of each tensor that cannot be.
    """
    modules = {owner.module for owner in groups.factors if owner.module}
    adapted = modules | groups.towers.keys()
    frozen = {key.module for key in groups.strangers.values() if key.depth and key.part == "weight"}
    left_out: Counter[str] = Counter()
    rules: dict[str, str] = {}
    for name, spelled in groups.strangers.items():
        what = dropped_as(spelled, adapted, config, whole=bool(modules) and modules <= frozen)
        if what:
            left_out[what] += 1
            continue
        rule = classify_extra_tensor(name, spelled, modules, config)
        if rule is not None:
            rules[name] = rule
            findings.add(rule, name)
    if not neutral(config.get("modules_to_save")) and WHOLE.isdisjoint(rules.values()):
        findings.add(
            "whole-weight", f"modules_to_save = {config['modules_to_save']}, and none is in the file"
        )
    return left_out, rules


def _fold(
    factors: Modules, method: Method, config: Config, matches: Matches, findings: RuleViolations
) -> Iterator[LoraPair]:
    """Yield one pair for each weight, by name; a weight that cannot have one is a violation."""
    shared = factors.get(AdaptedParameter("", ""), {})
    owners = sorted((owner for owner in factors if owner.module), key=lambda owner: natural_key(owner.module))
    if method.shared - {name.partition(".")[0] for name in shared}:
        findings.add("no-projection", *(part.name for owner in owners for part in factors[owner].values()))
        return
    dealt: Mapping[str, Mapping[str, Tensor]] = {}
    settings = {key: config[key] for key in method.takes if key in config}
    try:
        if method.deal is not None:
            dealt = method.deal([owner.module for owner in owners], shared, config)
    except FactorError as misfit:
        findings.add(misfit.code, misfit.text)
        return
    scales = TrainedScales(config, matches)
    for owner in owners:
        parts = factors[owner]
        try:
            _require_whole(parts, method)
            rank = (scale := scales.of(owner.key)).rank
            if rank:  # AdaLoRA may have pruned all of them
                every = {**shared, **dealt.get(owner.module, {}), **split_experts(owner, parts, rank)}
                a, b, fit = method.fold(owner.module, every, rank, **settings)
                yield LoraPair(owner.module, a, b, scale.alpha_at(a.shape[-2]), fit)
        except FactorError as misfit:
            findings.add(misfit.code, misfit.text)


def _require_whole(parts: Mapping[str, Tensor], method: Method) -> None:
    """Require the parts to make one weight.

    Raises:
        FactorError: a part is missing.
    """
    if parts.keys() in method.layouts:
        return
    nearest = max(method.layouts, key=lambda layout: (len(layout & parts.keys()), -len(layout)))
    present = next(iter(parts.values())).name
    raise FactorError("half", f"{present}: has no {', '.join(sorted(nearest - parts.keys()))} beside it")
