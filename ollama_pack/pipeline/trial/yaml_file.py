"""Reads YAML of users and trainers, without tags and without aliases."""

from pathlib import Path
from typing import Any

from ollama_pack.errors import InputError, UsageError
from ollama_pack.formats.untrusted_json import file_errors

INSTALL_TEST = "pip install 'ollama-pack[test]', or write the file as JSON lines (.jsonl)"
MOST_YAML_BYTES = 64_000_000


def yaml_document(content: bytes, path: Path) -> Any:  # noqa: ANN401 — a document
    """Return the document in YAML.

    Args:
        content: the YAML.
        path: the file that it is from, for messages.

    Raises:
        InputError: it is damaged or too large, or has aliases.
        UsageError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise UsageError(
            "Cases in YAML need PyYAML, which is not installed.", hint=INSTALL_TEST, code="extra-missing"
        ) from error
    with file_errors(path, yaml.YAMLError):
        # An alias lets a few lines stand for billions of values.
        if len(content) > MOST_YAML_BYTES or any(
            isinstance(each, yaml.AliasEvent) for each in yaml.parse(content)
        ):
            raise InputError("The file has aliases (*name), or is too large.", where=path)
        return yaml.safe_load(content)
