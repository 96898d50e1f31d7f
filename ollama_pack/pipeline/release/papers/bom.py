"""The bill of materials of a release, as CycloneDX 1.6: the model, its base as ancestor, and the licences."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_pack.pipeline.release.papers.licences import SPDX
from ollama_pack.pipeline.release.papers.names import name_of_base

_NAMESPACE = uuid.UUID("6f9b1c5a-2f0e-5d7c-9a31-0a4c7b6e2d10")
"""The namespace of serial numbers, which depend on the files of a release and on nothing else."""


def bill_of_materials(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ML-BOM of a release, made of its record."""
    adapter, files = record["adapter"], record["files"]
    serial = uuid.uuid5(_NAMESPACE, "\n".join(f"{each['name']} {each['sha256']}" for each in files))
    tool = {"type": "application", "name": "ollama-pack", "version": record["ollama_pack"]}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": _without_empty(_model_component(record)), "tools": {"components": [tool]}},
        "components": [
            _base_component(record, "base"),
            *(_source_component(number, each) for number, each in _numbered_sources(adapter["sources"])),
            *(
                {
                    "type": "file",
                    "bom-ref": f"file-{each['name']}",
                    "name": each["name"],
                    "hashes": _hashes(each["sha256"]),
                }
                for each in files
            ),
        ],
        "dependencies": [
            {
                "ref": "model",
                "dependsOn": [
                    "base",
                    *(f"adapter-{number}" for number, _ in _numbered_sources(adapter["sources"])),
                ],
            }
        ],
    }


def _model_component(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model as a component, with its base as ancestor."""
    base, adapter = record["base"], record["adapter"]
    name, _, version = record["model"].rpartition(":")
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": name,
        "version": version,
        "hashes": _hashes(record["files"][0]["sha256"]),
        "licenses": _licenses_of_model(record),
        "pedigree": {"ancestors": [_base_component(record, "ancestor")], "notes": _bom_notes(record)},
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "architectureFamily": base["architecture"],
                "modelArchitecture": f"{base['architecture']} with {adapter['method']}",
            }
        },
        "properties": [
            {"name": f"ollama-pack:{key}", "value": str(adapter[key])} for key in ("method", "rank", "alpha")
        ],
    }


def _numbered_sources(sources: Sequence[Mapping[str, str]]) -> list[tuple[int, Mapping[str, str]]]:
    """Return the adapters of a release with their numbers, from 1."""
    return list(enumerate(sources, 1))


def _base_component(record: Mapping[str, Any], ref: str) -> dict[str, Any]:
    """Return the base as a component."""
    base = record["base"]
    source = base["source_id"] or record["adapter"]["trained_on"]
    component = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": name_of_base(record),
        "hashes": _hashes(base["blob"].rpartition(":")[2]),
        "licenses": _licenses(record["licenses"]["base"]),
        "purl": f"pkg:huggingface/{source}" if "/" in source else "",
    }
    return _without_empty(component)


def _source_component(number: int, files: Mapping[str, str]) -> dict[str, Any]:
    """Return the files of one adapter as a component."""
    parts = [
        {
            "type": "file",
            "bom-ref": f"adapter-{number}-{name}",
            "name": name,
            "hashes": _hashes(digest.rpartition(":")[2]),
        }
        for name, digest in sorted(files.items())
    ]
    return {"type": "data", "bom-ref": f"adapter-{number}", "name": f"adapter {number}", "components": parts}


def _hashes(digits: str) -> list[dict[str, str]]:
    """Return a SHA-256 as hashes, or no hash if it is unknown."""
    return [{"alg": "SHA-256", "content": digits}] if digits else []


def _licenses_of_model(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the licences of the model: that of the adapter, and of a base that is merged into it."""
    adapter, base = record["licenses"]["adapter"], record["licenses"]["base"]
    names = (adapter, base) if record["form"] == "merged" else (adapter or base,)
    return [each for name in dict.fromkeys(names) for each in _licenses(name)]


def _licenses(name: str) -> list[dict[str, Any]]:
    """Return a licence by its id of SPDX, else by its name, or no licence if it is unknown."""
    if not name:
        return []
    return [{"license": {"id": SPDX[name]} if name in SPDX else {"name": name}}]


def _bom_notes(record: Mapping[str, Any]) -> str:
    """Return what the model was made of in one sentence, and what is to be known of the licences."""
    kind = "merged into" if record["form"] == "merged" else "applied to"
    conflict = record["licenses"]["conflict"]
    return f"A LoRA adapter {kind} its base." + (f" Licences: {conflict}." if conflict else "")


def _without_empty(component: Mapping[str, Any]) -> dict[str, Any]:
    """Return a component without the fields that nothing is known for."""
    return {key: value for key, value in component.items() if value not in ("", [], {})}
