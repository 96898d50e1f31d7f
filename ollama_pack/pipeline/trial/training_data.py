"""Finds the data that an adapter was trained on: what a trainer's settings name, else what lies beside it.

Only files of this machine are found, and nothing is downloaded.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_pack.disk.files import read_json_object, read_small
from ollama_pack.errors import PackError
from ollama_pack.lora.peft.run_directory import step_of
from ollama_pack.pipeline.trial.messages import read_conversations
from ollama_pack.pipeline.trial.yaml_file import yaml_document

MODEL_CARD, DATASETS_INFO = "README.md", "dataset_info.json"
_YAML_IN_CARD = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HELD_OUT = re.compile(r"(^|[^a-z])(eval|test|val|valid|validation|dev|held|cases|predictions|log)([^a-z]|$)")
_FILES = (".jsonl", ".ndjson", ".json")
_FOLDERS = (".", "data", "..", "../data")
"""Where data lies that nothing names, relative to the run, the nearest first."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What is known of the data of a training.

    Attributes:
        files: the files on this machine.
        origin: what names them; empty if they only lie beside the run.
        elsewhere: the names of data that is not on this machine.
    """

    files: tuple[Path, ...] = ()
    origin: str = ""
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """What a trainer's settings say of its eval loss.

    Attributes:
        evaluated: the files that it was measured on, as far as they are named.
        split: whether that was a part of the training data that was set aside.
        all_tokens: whether it counts the tokens of the prompts too; None if that is not known.
    """

    evaluated: tuple[str, ...] = ()
    split: bool = False
    all_tokens: bool | None = None


@dataclass(slots=True)
class _Named:
    """Data that settings name: files, and names that lead to none."""

    places: tuple[Path, ...]
    files: list[Path] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def add(self, name: object) -> None:
        """Add what a setting names, looked for in each place."""
        if not isinstance(name, str) or not name or "\0" in name:
            return
        found = [path for path in (place / name for place in self.places) if path.exists()]
        if not found:
            self.elsewhere.append(name)
            return
        inside = sorted(found[0].iterdir()) if found[0].is_dir() else [found[0]]
        self.files += [path for path in inside if path.suffix.lower() in _FILES and path.is_file()]


def find_training_data(directory: Path) -> TrainingData:
    """Return the data that an adapter was trained on, as far as this machine has it.

    Args:
        directory: the directory of the adapter, or of a checkpoint of it.
    """
    run = _run_of(directory)
    for path, _, named in _settings_that_name_data(run):
        files = tuple(path for path in dict.fromkeys(named.files) if has_answers(path))
        return TrainingData(files, path.name, tuple(named.elsewhere))
    for folder in _FOLDERS:
        if files := _files_beside(run / folder):
            return TrainingData(files)
    return TrainingData()


def find_eval_settings(directory: Path) -> EvalSettings:
    """Return what the settings that name the training data say of the eval loss; the data is not read.

    Args:
        directory: the directory of the adapter, or of a checkpoint of it.
    """
    found = next(_settings_that_name_data(_run_of(directory)), None)
    return EvalSettings() if found is None else EvalSettings(**_measure_of(found[1]))


def _run_of(directory: Path) -> Path:
    """Return the directory of the training run that an adapter or a checkpoint is of."""
    home = directory.absolute()
    return home.parent if step_of(home) is not None else home


def _settings_that_name_data(run: Path) -> Iterator[tuple[Path, Mapping[str, Any], _Named]]:
    """Yield the files of settings that name data, with what they say and the data."""
    for path, settings in _settings_of(run):
        named = _Named((path.parent, run, run.parent, Path.cwd()))
        if isinstance(settings.get("datasets"), list):
            _read_axolotl(settings, named)
        elif "dataset" in settings:
            _read_llama_factory(settings, named)
        if named.files or named.elsewhere:
            yield path, settings, named


def _settings_of(run: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the settings of trainers in YAML in a run and beside it, those in a model card included."""
    for folder in (run, run.parent):
        with contextlib.suppress(OSError):
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() not in (".yml", ".yaml") and path.name != MODEL_CARD:
                    continue
                with contextlib.suppress(PackError, OSError):
                    content = read_small(path)
                    blocks = _YAML_IN_CARD.findall(content.decode("utf-8", "replace"))
                    for text in map(str.encode, blocks) if path.name == MODEL_CARD else (content,):
                        document = yaml_document(text, path)
                        if isinstance(document, Mapping):
                            yield path, _flat(document)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without the ``train.`` that LLaMA-Factory's board writes in front of a name."""
    return {str(key).removeprefix("train."): value for key, value in settings.items()}


def _read_axolotl(settings: Mapping[str, Any], named: _Named) -> None:
    """Add the data that Axolotl's settings name."""
    for name in _files_named_in(each for each in settings["datasets"] if isinstance(each, Mapping)):
        named.add(name)


def _files_named_in(entries: Iterable[object]) -> Iterator[str]:
    """Yield what the entries of Axolotl's settings name: their files, else their path."""
    for entry in entries:
        files = (entry.get("data_files") or entry.get("path")) if isinstance(entry, Mapping) else entry
        yield from (each for each in (files if isinstance(files, list) else [files]) if isinstance(each, str))


def _read_llama_factory(settings: Mapping[str, Any], named: _Named) -> None:
    """Add the data that LLaMA-Factory's settings name, whose files are in ``dataset_info.json``."""
    wanted = settings["dataset"]
    names = wanted.split(",") if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    given = settings.get("dataset_dir")
    folder = given if isinstance(given, str) and "\0" not in given else "data"
    for place in named.places:
        with contextlib.suppress(PackError, OSError):
            info = read_json_object(place / folder / DATASETS_INFO)
            for name in names:
                entry = info.get(str(name).strip())
                file = entry.get("file_name") if isinstance(entry, Mapping) else None
                named.add(str(Path(folder, file)) if isinstance(file, str) else name)
            return
    for name in names:
        named.add(name)


def _measure_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what settings say of the eval loss."""
    told = settings.get("test_datasets") or settings.get("eval_dataset") or ()
    names = told.split(",") if isinstance(told, str) else told if isinstance(told, list) else ()
    evaluated = tuple(name.strip() for name in _files_named_in(names))
    share = settings.get("val_set_size", settings.get("val_size", 0))
    counted = settings.get("train_on_inputs", settings.get("train_on_prompt"))
    return {
        "evaluated": evaluated,
        "split": isinstance(share, int | float) and share > 0,
        "all_tokens": counted if isinstance(counted, bool) else None,
    }


def _files_beside(folder: Path) -> tuple[Path, ...]:
    """Return the data in a folder that nothing names: what is called ``train``, else what is not held out."""
    with contextlib.suppress(OSError):
        named = [
            path for path in sorted(folder.iterdir()) if path.suffix.lower() in _FILES and path.is_file()
        ]
        named = [path for path in named if not _HELD_OUT.search(path.stem.lower())]
        found = [path.resolve() for path in named if has_answers(path)]
        return tuple([path for path in found if "train" in path.stem.lower()] or found)
    return ()


def has_answers(path: Path) -> bool:
    """Return whether a file has conversations in which the assistant answers."""
    try:
        return any(
            turn["role"] == "assistant" for talk in read_conversations(path) for turn in talk.messages[1:]
        )
    except PackError:
        return False
