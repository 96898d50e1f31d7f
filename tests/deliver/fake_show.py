"""The stand-in's ``/api/show``, which tells a chat template only where that is in force."""

import json

import gguf
from fake_create import IMAGE, TEXTS
from fake_store import FakeStore


def show(models: FakeStore, name: str, *, verbose: bool) -> dict:
    """Return what the stand-in says of a model: what decides its prompt, its metadata, its tensors."""
    manifest = models.document(name)
    words = {f"{IMAGE}model": "FROM", f"{IMAGE}adapter": "ADAPTER"}
    lines = [
        f"{words[layer['mediaType']]} {models.blob(layer['digest'])}"
        for layer in manifest["layers"]
        if layer["mediaType"] in words
    ]
    kinds = {layer["mediaType"]: layer["digest"] for layer in manifest["layers"]}
    texts = {kind: models.blob(kinds[IMAGE + kind]).read_text() for kind in TEXTS if IMAGE + kind in kinds}
    config = json.loads(models.blob(manifest["config"]["digest"]).read_bytes())
    own = "template" in texts
    texts = {"template": "{{ .Prompt }}", **texts}
    texts |= {kind: config.get(kind) for kind in ("renderer", "parser")}
    lines += [f"{kind.upper()} {text}" for kind, text in texts.items() if text]
    header = gguf.GGUFReader(models.blob(kinds[f"{IMAGE}model"]))
    info = {key: field.contents() for key, field in header.fields.items() if not key.startswith("GGUF.")}
    info.pop("general.name", None)
    jinja = info.pop("tokenizer.chat_template", "")
    if not verbose:
        info = {key: None if isinstance(value, list) else value for key, value in info.items()}
    shown = {
        "modelfile": "\n".join(lines),
        "model_info": info,
        "details": {
            "format": config.get("model_format", "gguf"),
            "family": config.get("model_family", ""),
        },
        "template": texts["template"] if own or not jinja else jinja,
        "system": texts.get("system", ""),
        "messages": json.loads(models.blob(kinds[f"{IMAGE}messages"]).read_text())
        if f"{IMAGE}messages" in kinds
        else [],
        "tensors": [
            {"name": t.name, "type": t.tensor_type.name, "shape": t.shape.tolist()} for t in header.tensors
        ],
    }
    return shown | {key: config[key] for key in ("remote_host",) if key in config}
