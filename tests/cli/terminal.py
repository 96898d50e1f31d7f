"""What the tests of the command line share: run it, look at the disk, make a store."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import jsonschema
from click.testing import CliRunner

import ollama_pack
from ollama_pack.cli.app import main

# Before click 8.2 the two streams were one unless asked.
RUNNER = CliRunner(**({"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}))

CODE = Path(ollama_pack.__file__).parent.parent
SCHEMA = json.loads((CODE / "docs" / "schema.json").read_text("utf-8"))
NOBODY = "127.0.0.1:9"
"""Where no daemon listens."""


@dataclass(frozen=True)
class Ran:
    """What a command left behind.

    Attributes:
        code: its exit code.
        stdout: its results.
        stderr: its words.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """Return the one JSON document on stdout, which is as docs/schema.json says."""
        return check_document(json.loads(self.stdout))


def check_document(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of the command line; raise an error unless docs/schema.json describes it."""
    kind = {**SCHEMA["$defs"][f"document_{document['kind']}"], "$defs": SCHEMA["$defs"]}
    jsonschema.validate(document, kind, jsonschema.Draft202012Validator)
    return document


def run(*args: object, columns: int = 0) -> Ran:
    """Run a command in this process; a bug in it is raised, not turned into an exit code.

    Args:
        args: as a user types them.
        columns: width of the terminal, the default's where 0.
    """
    width = {"terminal_width": columns, "max_content_width": columns} if columns else {}
    result = RUNNER.invoke(main, [str(arg) for arg in args], prog_name="ollama-pack", **width)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def spawn(*args: object, code: str = "", **options: Any) -> Ran:
    """Run a command in a process of its own.

    Args:
        args: as a user types them.
        code: Python to run instead of ``-m ollama_pack``; it finds `args` in ``sys.argv[1:]``.
        options: of `subprocess.run`.
    """
    usual = {"env": environment(), "capture_output": True, "text": True, "timeout": 60, "check": False}
    result = subprocess.run([*python(code), *map(str, args)], **{**usual, **options})
    return Ran(result.returncode, result.stdout or "", result.stderr or "")


def python(code: str = "") -> list[str]:
    """Return how Python is called for a program, for the command line where it is empty."""
    return [sys.executable, *(["-c", code] if code else ["-m", "ollama_pack"])]


def environment(**more: str) -> dict[str, str]:
    """Return the environment for a process of its own, which finds this very package."""
    return {**os.environ, "PYTHONPATH": str(CODE), "PYTHONUTF8": "1", **more}


def tree(folder: Path, *, times: bool = False) -> dict[str, object]:
    """Return everything below a folder: a file's bytes, what a link names, None for a directory.

    Args:
        folder: where to look.
        times: take the time of the last change of files too; a directory's tells of drafts that vanished.
    """

    def timed(path: Path) -> bool:
        return times and path.is_file()

    return {
        path.relative_to(folder).as_posix(): (_content(path), path.lstat().st_mtime_ns if timed(path) else 0)
        for path in sorted(folder.rglob("*"))
    }


def _content(path: Path) -> object:
    if path.is_symlink():
        return path.readlink()
    return path.read_bytes() if path.is_file() else None


def model_in(store: Path, name: str, tag: str = "latest") -> dict[str, Any]:
    """Return the manifest of a model in a store, after reading each of its blobs through."""
    path = store / "manifests" / "registry.ollama.ai" / "library" / name / tag
    manifest = json.loads(path.read_bytes())
    for layer in (manifest["config"], *manifest["layers"]):
        content = blob_in(store, layer["digest"])
        assert layer["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert layer["size"] == len(content)
    return manifest


def blob_in(store: Path, digest: str) -> bytes:
    """Return the bytes of a blob."""
    return (store / "blobs" / digest.replace(":", "-")).read_bytes()


def layers_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return kind → digest of the layers, in their order."""
    return {layer["mediaType"].rpartition(".")[2]: layer["digest"] for layer in manifest["layers"]}


def digest_in(store: Path, name: str, tag: str = "latest") -> str:
    """Return what Ollama lists as the digest of a model."""
    path = store / "manifests" / "registry.ollama.ai" / "library" / name / tag
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add_base(store: Path, gguf: Path, name: str, tag: str) -> None:
    """Put a base into a store, as pulling it would have."""
    config = {"model_format": "gguf", "model_family": "llama", "model_families": ["llama"]}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": _blob(store, json.dumps(config).encode(), "docker.container.image.v1+json"),
        "layers": [
            _blob(store, gguf.read_bytes(), "ollama.image.model"),
            _blob(store, b"{{ .Prompt }}", "ollama.image.template"),
        ],
    }
    path = store / "manifests" / "registry.ollama.ai" / "library" / name / tag
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(manifest), "utf-8")


def _blob(store: Path, content: bytes, kind: str) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    path = store / "blobs" / f"sha256-{digest}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"mediaType": f"application/vnd.{kind}", "digest": f"sha256:{digest}", "size": len(content)}
