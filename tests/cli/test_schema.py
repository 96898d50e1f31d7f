"""docs/schema.json describes every document that ``--json`` prints, and docs/json.md every code."""

import ast
import importlib
import json
import re
from pathlib import Path

import jsonschema
import pytest
from recipes import write_model
from terminal import SCHEMA, check_document, run
from training_run import write_run

from ollama_pack.cli.app import COMMAND_GROUPS
from ollama_pack.errors import PackError
from ollama_pack.lora.unsupported import RULES

ROOT = Path(__file__).parents[2]
KINDS = {name.removeprefix("document_") for name in SCHEMA["$defs"] if name.startswith("document_")}


def test_the_schema_is_one():
    """It is JSON Schema, and its list of documents is complete."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert {each["$ref"] for each in SCHEMA["oneOf"]} == {f"#/$defs/document_{kind}" for kind in KINDS}


def pushed(*words):
    """Return the calls of a push and of its plan."""
    return [("push", *words), ("push", *words, "--dry-run")]


@pytest.mark.usefixtures("stand_in_llama", "hub")
@pytest.mark.filterwarnings("ignore:Use 'content")  # huggingface_hub's own call of its client
def test_every_kind_of_document(ada, tiny_gguf, tmp_path, models, registry):
    """Each command prints documents as the schema says, and there is no kind that none prints."""
    base, folder = ("--base", tiny_gguf), tmp_path / "release"
    trained = write_run(tmp_path / "grace-lora")
    chatting = write_model(tmp_path / "chat.gguf", keys=[("tokenizer.chat_template", "{{ messages }}")])
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"prompt": "Hi.", "stops": true}')
    project = tmp_path / "project.toml"
    project.write_text(
        '[commands.release]\nout = "dists"\n[models.ada]\ntargets = ["hf://ada/lovelace-gguf"]\n'
    )
    calls = [
        ("build", ada, "ada", *base, "--dry-run"),
        ("build", ada, "ada", *base, "--via", "store"),
        ("build", ada, "ada", *base, "--via", "store", "--parameter", "temperature=0.5"),
        ("build", trained, *base, "--checkpoint", "all", "--dry-run"),
        ("build", trained, *base, "--checkpoint", "all", "--via", "store"),
        ("build", ada, "ada", *base, "--via", "folder", "--out", folder),
        ("build", ada, "ada", *base, "--via", "pigeon"),
        ("release", ada, "ada:1", *base, "--merge", "--no-report", "--out", tmp_path / "dist"),
        ("release", "--each", ada, *base, "--merge", "--no-report", "--out", tmp_path / "dists"),
        *pushed(tmp_path / "dist", f"oci://{registry.host}/team/ada:1"),
        ("push", tmp_path / "dist", "hf://ada/lovelace-gguf"),
        ("pull", f"oci://{registry.host}/team/ada:1", "--via", "store"),
        ("convert", ada, *base, "--out", tmp_path / "ada.gguf"),
        ("merge", ada, *base, "--out", tmp_path / "merged.gguf"),
        ("prompt", chatting),
        ("try", ada, "Hi.", *base),
        ("test", ada, "--cases", cases, *base),
        ("modelfile", ada, *base),
        ("register", folder, "other", "--via", "store"),
        ("verify", folder),
        ("inspect", trained, *base),
        ("inspect", ada, "--base", "vicunna:7b"),
        ("inspect", trained, "--explain", "optimizer.pt"),
        ("inspect", tiny_gguf),
        *pushed("--config", project),
        ("config", ada, *base),
        ("plan", ada, *base),
        ("checkpoints", trained),
        ("diff", ada, trained),
        ("doctor",),
        ("versions", "ada", "--store", models),
        ("rollback", "ada", "--store", models),
        ("remove", "ada", "--store", models),
        ("bases", "vicuna"),
        ("archs", "llama"),
    ]
    assert {call[0] for call in calls} >= set(COMMAND_GROUPS)
    assert {run(*call, "--json").document["kind"] for call in calls} == KINDS


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"name": None},
        {"kind": "biuld"},
        {"schema_version": 2},
        {"delivery": {"via": "pigeon"}},
    ],
)
def test_what_is_not_described_fails(ada, tiny_gguf, change):
    """A field that the schema lacks, or of another type, is found by every test that reads a document."""
    document = run("build", ada, "ada", "--base", tiny_gguf, "--via", "store", "--json").document
    check_document(document)
    with pytest.raises((jsonschema.ValidationError, KeyError)):
        check_document({**document, **change})


def test_what_a_build_did_is_in_fields(ada, tiny_gguf):
    """The check of the base, the versions and the reason are values, beside their sentences."""
    call = ("build", ada, "ada", "--base", tiny_gguf, "--json")
    first = run(*call).document["delivery"]
    assert first["base_check"] == {
        "base": "tiny.gguf",
        "agrees": ["every tensor and shape"],
        "mismatches": [],
    }
    assert first["reason"].startswith("no Ollama daemon answers")
    assert (first["versions"], first["base_moved"]) == ({"kept": [], "removed": []}, None)
    second = run(*call, "--parameter", "temperature=0.5").document["delivery"]
    (kept,) = second["versions"]["kept"]
    assert (kept["digest"], kept["name"].startswith("ada:latest-")) == (first["digest"], True)


def test_what_is_warned_about_is_in_a_field(ada, tiny_gguf, tmp_path):
    """Each sentence about the Modelfile and the chat format that people read is in the documents, too."""
    call = (ada, "--base", tiny_gguf, "--json")
    options = ("--via", "folder", "--out", tmp_path / "out")
    assert run("build", *call, *options, "--dry-run").document["warnings"] == []
    (ada / "Modelfile").write_text('TEMPLATE "User: {{.Input}}"\n')
    (ada / "tokenizer_config.json").write_text('{"chat_template": "<|im_start|>{{ messages }}"}')
    for command, more in (("build", (*options, "--dry-run")), ("build", options), ("modelfile", ())):
        ran = run(command, *call, *more)
        warnings = ran.document["warnings"]
        assert len(warnings) >= 2
        assert "Modelfile is read, because there is no Modelfile.txt" in warnings[0]
        assert any(".Input" in each for each in warnings)
        assert all(each in ran.stderr for each in warnings)
    (ada / "Modelfile").unlink()
    (found,) = run("build", *call, *options, "--dry-run").document["warnings"]
    assert "--template chatml" in found


def test_the_modelfile_is_a_document(ada, tiny_gguf, tmp_path):
    """``modelfile --json`` has the text and its commands, and with --out the file that was written."""
    call = ("modelfile", ada, "--base", tiny_gguf, "--parameter", "temperature=0.5")
    document, text = run(*call, "--json").document, run(*call).stdout
    assert (document["text"], document["file"], document["name"]) == (text, "", "ada")
    assert {"command": "PARAMETER", "key": "temperature", "value": "0.5"} in document["commands"]
    path = tmp_path / "out" / "Modelfile.txt"
    path.parent.mkdir()
    written = run(*call, "--out", path, "--json").document
    assert (written["file"], path.read_text()) == (path.as_posix(), written["text"])


def codes_in_the_source() -> set[str]:
    """Return every code that an error may have: those of classes, of rules, and those in the source."""
    importlib.import_module("ollama_pack.ollama.api_errors")  # has classes of its own
    kinds = [PackError, *PackError.__subclasses__()]
    kinds += [deeper for kind in kinds[1:] for deeper in kind.__subclasses__()]
    names = [kind.__name__ for kind in kinds]
    codes = {kind.general_code for kind in kinds if kind is not PackError} | set(RULES)
    for path in (ROOT / "ollama_pack").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (*names, "kind"):
                values = [word.value for word in node.keywords if word.arg == "code"]
                codes |= {value.value for value in values if isinstance(value, ast.Constant)}
    return codes


def test_every_code_is_documented():
    """docs/json.md names each code with its exit code and meaning, and no code that does not exist."""
    page = (ROOT / "docs" / "json.md").read_text("utf-8")
    listed = re.findall(r"^\| `([a-z-]+)` \| [2-7](?: or [2-7])? \| \S", page, re.MULTILINE)
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) | set(RULES) == codes_in_the_source()


def test_the_page_names_every_kind():
    """docs/json.md says which command prints which kind of document."""
    page = (ROOT / "docs" / "json.md").read_text("utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []
    assert json.loads((ROOT / "docs" / "schema.json").read_text("utf-8")) == SCHEMA
