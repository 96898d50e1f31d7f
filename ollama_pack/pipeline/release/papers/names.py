"""The files of a release, and what a folder may have in it to become one."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_pack.deliver.folder import CONFIG, MANIFEST
from ollama_pack.disk.files import DRAFT, os_errors_as_destination_error, sha256_of_file
from ollama_pack.errors import RefusedError
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.pipeline.lock import BASE_PATH, LOCK_NAME
from ollama_pack.pipeline.prepare import GGUF_NAME, MERGED_NAME
from ollama_pack.pipeline.release.signing import SIGNATURE_NAME

RECORD_NAME = "release.json"
REPORT_NAME = "report.html"
BOM_NAME = "bom.cdx.json"
PROVENANCE_NAME = "provenance.intoto.json"
TESTS_NAME = "test-result.intoto.json"
CARD_NAME = "README.md"
BASE_FILE = BASE_PATH.removeprefix("./")
"""The base of a release in a registry, if it is a file and was sent too."""

SUMS_NAME = "SHA256SUMS"

PARTS = (GGUF_NAME, MERGED_NAME, MODELFILE_NAME, LOCK_NAME, MANIFEST, CONFIG, REPORT_NAME)
"""What a release may have besides its record and the documents that are made of it."""

DOCUMENTS = (BOM_NAME, PROVENANCE_NAME, TESTS_NAME, CARD_NAME)
PAPER_NAMES = (SUMS_NAME, RECORD_NAME, REPORT_NAME, *DOCUMENTS)
RELEASE_NAMES = tuple(dict.fromkeys((*PARTS, *PAPER_NAMES, SIGNATURE_NAME)))
"""Every file that a release may have: in its folder, on the Hub, and in a registry beside `BASE_FILE`."""


def name_of_base(record: Mapping[str, Any]) -> str:
    """Return how the papers call the base: its Ollama model, else its id, else its architecture."""
    base = record["base"]
    return str(base["tag"] or base["source_id"] or record["adapter"]["trained_on"] or base["architecture"])


def is_release(folder: Path) -> bool:
    """Return whether a folder has a paper that only a release has."""
    return any((folder / name).exists() for name in (*PAPER_NAMES[:2], *DOCUMENTS[:3]))


def require_release_folder(folder: Path) -> None:
    """Require that a folder holds nothing but the files of a release, so that its sums cover all of them.

    Raises:
        RefusedError: it has other files, or it is in another release.
    """
    above = folder.absolute().parent
    if is_release(above) and not is_release(folder):
        raise RefusedError(
            "This directory would be in another release, whose SHA256SUMS would not cover all its files.",
            where=folder,
            hint="--out DIR, with a directory that is in no release",
            code="file-in-the-way",
        )
    with os_errors_as_destination_error(folder):
        others = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    others = [name for name in others if name not in RELEASE_NAMES and not name.startswith(DRAFT)]
    if (folder / CARD_NAME).exists() and not (folder / RECORD_NAME).exists():
        others.append(CARD_NAME)  # a README.md of its owner
    if others:
        raise RefusedError(
            f"A release is a folder of its own, and this one has other files: {', '.join(others[:5])}.",
            where=folder,
            hint="--out DIR, with a new directory",
            code="file-in-the-way",
        )


def remove_papers(folder: Path) -> None:
    """Remove the papers of an earlier release, the sums first: without them it is no release any more.

    Its Modelfile.txt is one of them: what an author writes is beside the adapter.
    """
    for name in (*PAPER_NAMES, SIGNATURE_NAME, *((MODELFILE_NAME,) if is_release(folder) else ())):
        with os_errors_as_destination_error(folder / name):
            (folder / name).unlink(missing_ok=True)


def sums_of(folder: Path, known: Mapping[str, str]) -> bytes:
    """Return the text of SHA256SUMS: a line for every file of a folder but itself, sorted by name.

    Args:
        folder: the folder.
        known: the digits of files that were read already.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS_NAME)
    digits = (known.get(name) or sha256_of_file(folder / name)[7:] for name in names)
    return "".join(f"{each}  {name}\n" for each, name in zip(digits, names, strict=True)).encode()


def digest_of_sums(content: bytes) -> str:
    """Return the digest of a whole release, which is that of its sums."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
