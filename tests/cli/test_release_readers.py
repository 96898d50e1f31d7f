"""Every paper of a release is read by a reader that others wrote for it."""

import json
import shutil
import subprocess

import pytest
from recipes import write_adapter
from terminal import run

FORMS = {"adapter": (), "merged": ("--merge",)}


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def folder(request, tiny_gguf, tiny_tag, tmp_path):
    """Return the folder of a release whose names have what a format may take for its own."""
    source = write_adapter(
        tmp_path / "ada-lora", config={"base_model_name_or_path": "Team_1/tiny.base-1.0", "lora_alpha": 7}
    )
    (source / "README.md").write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")
    base = ("--base", tiny_gguf if request.param else tiny_tag)
    call = ("release", source, "my-team/Ada_1.x:1.0-rc.1", *base, *request.param, "--no-load")
    ran = run(*call, "--parameter", 'stop=<"|: #>', "--out", tmp_path / "dist")
    assert ran.code == 0, ran.stderr
    return tmp_path / "dist"


def test_the_bill_of_materials(folder):
    """CycloneDX's own library reads it, strictly by the schema of the version that it declares."""
    schema = pytest.importorskip("cyclonedx.schema", reason="NOT TESTED: no cyclonedx-python-lib")
    from cyclonedx.model.bom import Bom
    from cyclonedx.validation.json import JsonStrictValidator

    text = (folder / "bom.cdx.json").read_text("utf-8")
    version = schema.SchemaVersion.from_version(json.loads(text)["specVersion"])
    assert JsonStrictValidator(version).validate_str(text) is None
    bom = Bom.from_json(json.loads(text))
    bom.validate()
    assert (bom.metadata.component.name, bom.metadata.component.version) == ("my-team/Ada_1.x", "1.0-rc.1")
    assert JsonStrictValidator(version).validate_str(text.replace('"alg"', '"algorithm"')) is not None


def test_the_statements(folder):
    """The messages of in-toto's own library take each statement and its predicate, and no other field."""
    pytest.importorskip("in_toto_attestation", reason="NOT TESTED: no in-toto-attestation")
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    kinds = {
        "provenance": ("https://slsa.dev/provenance/v1", Provenance),
        "test-result": ("https://in-toto.io/attestation/test-result/v0.1", TestResult),
    }
    for name, (kind, message) in kinds.items():
        text = (folder / f"{name}.intoto.json").read_text("utf-8")
        read = json_format.Parse(text, statement_pb2.Statement())
        Statement.copy_from_pb(read).validate()
        assert read.predicate_type == kind
        predicate = json.loads(text)["predicate"]
        assert json_format.ParseDict(predicate, message()).ByteSize()
        with pytest.raises(json_format.ParseError):
            json_format.ParseDict({**predicate, "more": 1}, message())


def test_the_card(folder):
    """The Hub's own client reads the front matter, and finds nothing to change."""
    hub = pytest.importorskip("huggingface_hub", reason="NOT TESTED: no huggingface_hub")
    card = hub.ModelCard.load(folder / "README.md")
    relation = "finetune" if (folder / "merged_model.gguf").exists() else "adapter"
    told = card.data.to_dict()
    assert (told["base_model"], told["base_model_relation"]) == ("Team_1/tiny.base-1.0", relation)
    assert (told["license"], told["library_name"]) == ("cc-by-nc-sa-4.0", "gguf")
    assert "gguf" in told["tags"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="NOT TESTED: no sha256sum on this system")
def test_the_sums(folder):
    """The tool of every Linux checks each file."""
    words = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.count(": OK\n")) == (0, len(list(folder.iterdir())) - 1), ran.stderr
