"""Builds the content of the JSON documents: stable keys, sizes in bytes, and paths as the user gave them."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ollama_pack.lora.adapter import Adapter, dtypes_of, trained_tensors
from ollama_pack.message import facts_of
from ollama_pack.verify.result import ProofResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ollama_pack.base.model import BaseModel
    from ollama_pack.deliver.package import DeliveryPlan, Receipt
    from ollama_pack.lora.plan import LoraFile
    from ollama_pack.modelfile.syntax import Modelfile
    from ollama_pack.pipeline.build import Outcome
    from ollama_pack.pipeline.merging.merge import MergedFile
    from ollama_pack.pipeline.prepare import BuildPlan
    from ollama_pack.pipeline.verify import Verdict
    from ollama_pack.run.checkpoints import Checkpoint
    from ollama_pack.verify.behaviour import Behaviour
    from ollama_pack.verify.kept import KeptChange


def adapter_facts(adapter: Adapter) -> dict[str, Any]:
    """Return the JSON object of an adapter."""
    return {
        "directory": adapter.directory.as_posix(),
        "method": adapter.method,
        "rank": adapter.rank,
        "alpha": adapter.alpha,
        "scales": sorted({pair.scale for pair in adapter.pairs}),
        "dtypes": list(dtypes_of(adapter)),
        "weights": len(adapter.pairs),
        "parameters": sum(math.prod(leaf.shape) for leaf in trained_tensors(adapter)),
        "modules": dict(sorted(Counter(pair.module.rsplit(".", 1)[-1] for pair in adapter.pairs).items())),
        "base_model_name_or_path": adapter.base_id,
        "peft_version": str(adapter.config.get("peft_version") or ""),
        "invocation_tokens": list(adapter.invocation),
        "notes": list(adapter.notes),
    }


def base_facts(base: "BaseModel") -> dict[str, Any]:
    """Return the JSON object of a base."""
    return {
        "tag": base.tag,
        "gguf": base.gguf.as_posix() if base.gguf and not base.temporary else "",
        "source_id": base.source_id,
        "architecture": base.hparams.arch,
        "blocks": base.hparams.blocks,
        "heads": base.hparams.heads,
        "kv_heads": base.hparams.kv_heads,
        "head_dim": base.hparams.head_dim,
        "hidden": base.hparams.hidden,
        "vocabulary": base.hparams.vocab,
        "origin": base.origin,
        "notes": list(base.notes),
    }


def lora_facts(lora: "LoraFile") -> dict[str, Any]:
    """Return the JSON object of a GGUF LoRA file."""
    return {"path": lora.path.as_posix(), "digest": lora.digest, "size": lora.size, "outtype": lora.outtype}


def report_facts(report: ProofResult) -> dict[str, Any]:
    """Return the JSON object of a proof's result."""
    return {
        "proof": report.proof,
        "passed": report.passed,
        "figure": report.figure,
        "limit": report.limit,
        "worst": report.worst,
        "summary": report.summary,
    }


def merged_facts(merged: "MergedFile") -> dict[str, Any]:
    """Return the JSON object of a merged GGUF, with what it keeps of the change of each weight."""
    report = merged.report
    return {
        "path": merged.path.as_posix(),
        "digest": merged.digest,
        "size": merged.size,
        "untouched": report.untouched,
        **(
            {
                "frontier": [{"size": size, "off": off} for size, off in merged.frontier.points],
            }
            if merged.frontier
            else {}
        ),
        **({"behaviour": behaviour_facts(merged.behaviour)} if merged.behaviour else {}),
        "kept": kept_facts(report.total),
        "weights": [
            {"tensor": each.tensor, "types": each.types} | kept_facts(each) for each in report.weights
        ],
        "proofs": [report_facts(each) for each in (merged.before, report.result) if each],
    }


def behaviour_facts(behaviour: "Behaviour") -> dict[str, Any]:
    """Return the figures of a comparison of behaviour."""
    return {
        "kept": behaviour.kept,
        "divergence": behaviour.divergence,
        "base_divergence": behaviour.base_divergence,
        "tokens": behaviour.tokens,
    }


def kept_facts(kept: "KeptChange") -> dict[str, Any]:
    """Return the figures of a change that a merged file keeps."""
    return {
        "gain": kept.gain,
        "cosine": kept.cosine,
        "noise": kept.noise,
        "relative": kept.relative,
        "bytes": kept.nbytes,
        "base_bytes": kept.base_nbytes,
    }


def receipt_facts(receipt: "Receipt", base_change: str = "") -> dict[str, Any]:
    """Return the JSON object of a delivery; `base_change` tells how its base changed since the last build."""
    return {
        "via": receipt.via,
        "where": receipt.where,
        "digest": f"sha256:{receipt.digest}" if receipt.digest else "",
        "bytes_written": receipt.bytes_written,
        "base": {
            "manifest": f"sha256:{receipt.base_manifest}" if receipt.base_manifest else "",
            "blob": receipt.base_blob,
        },
        "reason": next((each["reason"] for each in facts_of(receipt.lines, "reason")), ""),
        "versions": {
            "kept": facts_of(receipt.lines, "version-kept"),
            "removed": [each["name"] for each in facts_of(receipt.lines, "version-removed")],
        },
        "base_check": base_check_facts(receipt.lines),
        "base_moved": next(iter(facts_of((base_change,), "base-moved")), None),
        "lines": list(map(str, receipt.lines)),
        "tried": list(receipt.tried),
    }


def base_check_facts(lines: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the JSON object of the check of a base, or None if the base was not checked."""
    found = facts_of(lines, "base-agrees")
    mismatches = [each["mismatch"] for each in facts_of(lines, "base-mismatch")]
    return {**found[0], "mismatches": mismatches} if found else None


def verdict_facts(verdicts: "Sequence[Verdict]") -> dict[str, Any]:
    """Return the proofs of a verification, and those that could not be made here."""
    proved = [report_facts(each) for each in verdicts if isinstance(each, ProofResult)]
    others = [each for each in verdicts if not isinstance(each, ProofResult)]
    return {"proofs": proved, "not_proved": [{"proof": each.proof, "why": each.why} for each in others]}


def outcome_facts(outcome: "Outcome") -> dict[str, Any]:
    """Return the JSON object of a build."""
    return {
        "name": outcome.receipt.name,
        "adapter": adapter_facts(outcome.work.adapter),
        "base": base_facts(outcome.work.base),
        "lora": lora_facts(outcome.lora) if outcome.lora else None,
        **({"merged": merged_facts(outcome.merged)} if outcome.merged else {}),
        "proofs": [
            report_facts(report)
            for report in (outcome.report, outcome.prompt.result, outcome.load, outcome.rendered)
            if report
        ],
        "not_proved": [{"proof": "prompt", "why": outcome.prompt.why}] if outcome.prompt.why else [],
        "modelfile": outcome.modelfile.as_posix(),
        "lock": outcome.lock.as_posix(),
        "warnings": list(outcome.work.warnings),
        "before": before_facts(outcome.work.earlier),
        "delivery": receipt_facts(outcome.receipt, outcome.base_change),
    }


def before_facts(lock: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the digests of the build before in the same folder, or None if there was none."""
    parts = [part for key in ("adapter", "merged") if isinstance(part := lock.get(key), Mapping)]
    gguf = next((part["gguf"] for part in parts if isinstance(part.get("gguf"), str)), "")
    manifest = lock.get("manifest")
    return {"manifest": manifest if isinstance(manifest, str) else "", "gguf": gguf} if lock else None


def plan_facts(work: "BuildPlan", plan: "DeliveryPlan") -> dict[str, Any]:
    """Return the JSON object of a dry run."""
    return {
        "name": plan.name,
        "adapter": adapter_facts(work.adapter),
        "base": base_facts(work.base),
        "warnings": list(work.warnings),
        "delivery": {
            "via": plan.via,
            "reason": plan.reason,
            "where": plan.where,
            "replaces": plan.replaces,
            "items": [{"what": item, "bytes": size} for item, size in plan.items],
            "bytes": plan.total,
        },
    }


def checkpoint_facts(each: "Checkpoint", *, is_root: bool) -> dict[str, Any]:
    """Return the JSON object of a checkpoint, without its digest, which would need its weights."""
    log = each.log
    return {
        "name": each.name,
        "step": each.step,
        "epoch": log.epoch if log else None,
        "loss": log.last("loss") if log else None,
        "eval_loss": log.last("eval_loss") if log else None,
        "learning_rate": log.last("learning_rate") if log else None,
        "best": each.is_best,
        "best_metric": log.best_metric if log else None,
        "is_root": is_root,
        "resumable": each.resumable,
        "states": list(each.states),
        "size": each.size,
        "note": each.note,
    }


def modelfile_facts(
    name: str, modelfile: "Modelfile", path: Path | None, warnings: tuple[str, ...]
) -> dict[str, Any]:
    """Return the JSON object of a Modelfile; `path` is the file that it was written to, or None."""
    from ollama_pack.modelfile.syntax import print_modelfile  # `convert` has no Modelfile

    commands = [{"command": each.name, "key": each.key, "value": each.value} for each in modelfile.commands]
    file = path.as_posix() if path else ""
    return {
        "name": name,
        "file": file,
        "text": print_modelfile(modelfile),
        "commands": commands,
        "warnings": list(warnings),
    }
