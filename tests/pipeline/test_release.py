"""From a Modelfile to a package, and from a folder back to one."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from ollama_pack.deliver.package import make_package
from ollama_pack.errors import DestinationError, InputError, RefusedError
from ollama_pack.lora.plan import LoraFile
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.modelfile.file import has_same_commands, read_modelfile
from ollama_pack.modelfile.parser import parse
from ollama_pack.ollama.names import parse_name
from ollama_pack.pipeline.built_folder import read_lora, read_package
from ollama_pack.pipeline.convert import convert
from ollama_pack.pipeline.inputs import resolve_inputs
from ollama_pack.pipeline.prepare import prepare
from ollama_pack.pipeline.request import Request

NAME = parse_name("ada")
LORA = LoraFile(Path("ada.gguf"), "sha256:" + "0" * 64, 100, "f16")

WHOLE = '''FROM tiny
ADAPTER ./adapter_model.gguf
TEMPLATE """{{ .Prompt }}"""
SYSTEM You are Ada.
PARAMETER temperature 0.3
PARAMETER stop <|end|>
PARAMETER stop USER:
MESSAGE user Who are you?
MESSAGE assistant Ada.
LICENSE free
LICENSE as air
RENDERER qwen3
PARSER qwen3
REQUIRES v0.6.0
'''


def test_everything_arrives(tiny_base):
    """Each command of a Modelfile becomes the field of its name, typed as Ollama types it."""
    package = make_package(NAME, parse(WHOLE, where="x"), LORA, tiny_base)
    assert (package.name, package.adapter, package.base) == (NAME, LORA, tiny_base)
    assert (package.template, package.system) == ("{{ .Prompt }}", "You are Ada.")
    assert package.parameters == {"temperature": 0.3, "stop": ["<|end|>", "USER:"]}
    assert [message["role"] for message in package.messages] == ["user", "assistant"]
    assert package.licenses == ("free", "as air")
    assert (package.renderer, package.parser, package.requires) == ("qwen3", "qwen3", "0.6.0")
    assert package.modelfile_text == WHOLE


def test_nothing_is_invented(tiny_base):
    """What a Modelfile leaves out stays empty, to be inherited from the base."""
    package = make_package(NAME, parse("FROM tiny\nADAPTER x\n", where="x"), LORA, tiny_base)
    assert (package.template, package.system, package.messages, package.licenses) == ("", "", (), ())
    assert dict(package.parameters) == {}
    assert (package.renderer, package.parser, package.requires) == ("", "", "")


@pytest.fixture
def folder(make_adapter, tiny_gguf):
    """Return a folder with a GGUF LoRA and a Modelfile on a base known by name."""
    directory = make_adapter()
    work = prepare(resolve_inputs(Request(directory=directory, base=str(tiny_gguf))))
    convert(work, directory / "adapter_model.gguf", "f16")
    (directory / MODELFILE_NAME).write_text(WHOLE, "utf-8")
    return directory


def test_package_of_a_folder(folder):
    """A folder gives the package its Modelfile describes; the digest is the file's own."""
    package = read_package(folder, NAME)
    content = (folder / "adapter_model.gguf").read_bytes()
    assert package.adapter.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert (package.adapter.size, package.adapter.outtype) == (len(content), "f16")
    assert (package.base.tag, package.base.hparams.arch, package.base.gguf) == ("tiny", "llama", None)
    assert package.system == "You are Ada."


def test_package_on_a_file(folder, tiny_gguf):
    """A FROM that is a file, as seen from the folder, is read as the base."""
    (folder / "base").write_bytes(tiny_gguf.read_bytes())
    (folder / MODELFILE_NAME).write_text(WHOLE.replace("FROM tiny", "FROM ./base"), "utf-8")
    package = read_package(folder, NAME)
    assert package.base.gguf == folder / "base"
    assert package.base.hparams.blocks == 2


def test_adapter_elsewhere(folder, tmp_path):
    """ADAPTER may name a file anywhere, as seen from the folder or from the root."""
    (folder / "adapter_model.gguf").rename(tmp_path / "other.gguf")
    for spelt in ("../other.gguf", str(tmp_path / "other.gguf")):
        (folder / MODELFILE_NAME).write_text(WHOLE.replace("./adapter_model.gguf", spelt), "utf-8")
        assert read_package(folder, NAME).adapter.path.samefile(tmp_path / "other.gguf")


@pytest.mark.parametrize(
    ("modelfile", "told"),
    [
        pytest.param(None, "There is no Modelfile.txt here", id="no Modelfile"),
        pytest.param("FROM tiny\n", "There is no ADAPTER line", id="no ADAPTER"),
        pytest.param("FROM tiny\nADAPTER ./gone.gguf\n", "Cannot read", id="no adapter"),
        pytest.param("FROM tiny\nADAPTER .\n", "Cannot read", id="a directory"),
        pytest.param("FROM tiny\nADAPTER ./Modelfile.txt\n", "not GGUF", id="no GGUF"),
        pytest.param("FROM ./gone.gguf\nADAPTER ./adapter_model.gguf\n", "is not here", id="no base"),
        pytest.param("FROM tiny\nADAPTER x\nPARAMETER hot 1\n", "hot", id="unknown parameter"),
    ],
)
def test_folder_that_is_not_whole(folder, modelfile, told):
    """What is missing or damaged is an InputError that names it."""
    if modelfile is None:
        (folder / MODELFILE_NAME).unlink()
    else:
        (folder / MODELFILE_NAME).write_text(modelfile, "utf-8")
    with pytest.raises(InputError, match=told):
        read_package(folder, NAME)


def test_lora_that_is_a_base(tiny_gguf):
    """A whole model in place of an adapter is told as that."""
    with pytest.raises(InputError, match="not a GGUF LoRA"):
        read_lora(tiny_gguf)


@pytest.mark.parametrize("missing", [1, 3000, 5000])
def test_lora_cut_short(folder, missing):
    """A file that ends in its header or inside a tensor is not taken for whole."""
    path = folder / "adapter_model.gguf"
    path.write_bytes(path.read_bytes()[:-64][:-missing])
    with pytest.raises(InputError):
        read_lora(path)


def test_lora_of_f32(folder, tiny_gguf):
    """The type of the tensors is read from the file."""
    work = prepare(resolve_inputs(Request(directory=folder, base=str(tiny_gguf))))
    convert(work, folder / "wide.gguf", "f32")
    assert read_lora(folder / "wide.gguf").outtype == "f32"


def test_no_author(tmp_path):
    """A directory without Modelfile.txt, or that is none, has no author."""
    assert read_modelfile(tmp_path) is None
    assert read_modelfile(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "content", [b"FROM x\n\xff\xfe\xfd\n", b"FROM x\nFLY me\n"], ids=["bytes", "grammar"]
)
def test_damaged_author(tmp_path, content):
    """A Modelfile.txt that is no text or no Modelfile is told by its path."""
    (tmp_path / MODELFILE_NAME).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_modelfile(tmp_path)
    assert str(tmp_path / MODELFILE_NAME) in caught.value.where


@pytest.mark.parametrize("directory", ["a" * 300, "here"])
def test_author_that_cannot_be_read(tmp_path, directory):
    """A name the system refuses, or a directory in its place, is an InputError."""
    (tmp_path / "here" / MODELFILE_NAME).mkdir(parents=True)
    with pytest.raises(InputError, match="Cannot read the file"):
        read_modelfile(tmp_path / directory)


def test_package_is_a_value(tiny_base):
    """Packing the same twice gives equal packages; another name another one."""
    said = parse(WHOLE, where="x")
    one = make_package(NAME, said, LORA, tiny_base)
    assert one == make_package(NAME, said, LORA, tiny_base)
    assert one != replace(one, name=parse_name("bob"))


def test_what_a_modelfile_may_replace(tmp_path):
    """A Modelfile replaces another one, or nothing; the same content is there already."""
    path = tmp_path / "Modelfile.txt"
    assert not has_same_commands(path, b"FROM x\n")
    path.write_bytes(b"FROM y\n")
    assert not has_same_commands(path, b"FROM x\n")
    assert has_same_commands(path, b"FROM y\n")


@pytest.mark.parametrize("content", [b"my thesis\n", b"\x80\x81", b'{"r": 8}'], ids=["text", "bytes", "json"])
def test_what_a_modelfile_may_not_replace(tmp_path, content):
    """What is no Modelfile is the user's, and stays."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RefusedError, match="not a Modelfile"):
        has_same_commands(tmp_path / "x", b"FROM x\n")


def test_place_that_cannot_be_asked_about(tmp_path):
    """A name the system refuses is a DestinationError, not a traceback."""
    with pytest.raises(DestinationError, match="too long"):
        has_same_commands(tmp_path / ("a" * 300), b"FROM x\n")
