"""What a message about a base says to try is done by the letter, and then the command succeeds."""

import json
import re
import shutil
import struct

import numpy as np
import pytest
from following import hint_of, succeeds
from recipes import write_adapter, write_model
from terminal import add_base, run
from test_named_base import write_smol

FOLDER = ("--via", "folder")
CONFIG = "adapter_config.json"


def set_config(adapter, **changes):
    """Change settings of an adapter."""
    path = adapter / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_nothing_names_a_base(smol, tmp_path):
    """--base takes each of the three kinds of names that the message gives."""
    set_config(smol, base_model_name_or_path="")
    hint = hint_of("build", smol, *FOLDER, code="base-not-named")
    assert hint == "--base BASE, with an Ollama model (vicuna:7b), a Hugging Face id, or a GGUF file"
    for base in ("smollm2:135m", "HuggingFaceTB/SmolLM2-135M-Instruct", write_smol(tmp_path / "b.gguf")):
        succeeds("build", smol, *FOLDER, "--base", base)


def test_a_directory_for_a_file(ada, tiny_gguf, tmp_path):
    """A directory has the name of a GGUF file."""
    (tmp_path / "base.gguf").mkdir()
    (tmp_path / "base.gguf" / "x").touch()
    hint = hint_of("build", ada, *FOLDER, "--base", tmp_path / "base.gguf", code="damaged")
    assert hint == "--base FILE.gguf"
    succeeds("build", ada, *FOLDER, "--base", tiny_gguf)


def test_an_adapter_for_a_base(ada, tiny_gguf, tmp_path):
    """A GGUF LoRA is no base, and a model is one."""
    succeeds("convert", ada, "--base", tiny_gguf, "--out", tmp_path / "lora.gguf")
    hint = hint_of("build", ada, *FOLDER, "--base", tmp_path / "lora.gguf", code="damaged")
    assert hint == "--base MODEL.gguf"
    succeeds("build", ada, *FOLDER, "--base", tiny_gguf)


def test_no_gguf_file_at_all(ada, tiny_gguf, tmp_path):
    """A file with another content is told, and the two ways it names are taken."""
    (tmp_path / "base.gguf").write_bytes(b"PK\3\4" * 99)
    hint = hint_of("build", ada, *FOLDER, "--base", tmp_path / "base.gguf", code="damaged")
    assert hint == "--base with a GGUF file or an Ollama model"
    succeeds("build", ada, *FOLDER, "--base", tiny_gguf)


@pytest.mark.parametrize("damage", ["cut", "promise"])
def test_a_damaged_file(ada, tiny_gguf, tmp_path, damage):
    """A file that was copied again is taken; its size tells that the first copy was cut short."""
    whole = tiny_gguf.read_bytes()
    base = tmp_path / "base.gguf"
    base.write_bytes(whole[:3000] if damage == "cut" else whole[:8] + struct.pack("<Q", 1 << 40) + whole[16:])
    hint = hint_of("build", ada, *FOLDER, "--base", base, code="damaged")
    assert hint == "download or copy the file again, and compare its size"
    base.write_bytes(whole)
    succeeds("build", ada, *FOLDER, "--base", base)


@pytest.mark.parametrize("where", ["config.json", "GGUF"])
def test_an_unknown_architecture(ada, tmp_path, where):
    """The list of architectures that the message names is printed, and has as many as it says."""
    base = tmp_path / "base"
    base.mkdir()
    if where == "GGUF":
        base = write_model(base / "base.gguf")
        text = base.read_bytes().replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0llamo", 1)
        base.write_bytes(text.replace(b"llama.", b"llamo."))
    else:
        (base / "config.json").write_text('{"architectures": ["LlamoForCausalLM"], "hidden_size": 64}')
    hint = hint_of("build", ada, *FOLDER, "--base", base, code="architecture-unknown")
    assert hint.startswith("ollama-pack archs  lists ")
    document = run("archs", "--json").document
    number = re.search(r"lists the (\d+) that can", hint)
    assert number is None or int(number[1]) == len(document["archs"])


def test_a_base_that_ollama_does_not_run(ada):
    """`bases` lists those that it runs, and this one is not among them."""
    hint = hint_of("build", ada, *FOLDER, "--base", "facebook/opt-125m", code="base-not-run")
    assert hint.startswith("ollama-pack bases  lists the bases that can")
    builds = {each["source_id"]: each["builds"] for each in run("bases", "--json").document["bases"]}
    assert (builds["facebook/opt-125m"], builds["HuggingFaceTB/SmolLM2-135M-Instruct"]) == ("no", "yes")


def test_a_name_with_a_mistake(smol):
    """The name that is meant is offered as an option, and taken."""
    set_config(smol, base_model_name_or_path="")
    hint = hint_of("build", smol, *FOLDER, "--base", "smollm2:135", code="base-unknown")
    assert hint.startswith("--base FILE.gguf  accepts any GGUF model. The catalog has ")
    for name in re.findall(r"\b(smollm2:135m)\b", hint):
        succeeds("build", smol, *FOLDER, "--base", name)


def test_two_bases_of_a_sum(smol, tmp_path):
    """Two names of the same weights are one base, if --base says so."""
    other = write_smol_adapter(tmp_path / "other-lora", "someone/their-copy-of-smollm2")
    hint = hint_of("build", smol, other, "sum", "--weight", 1, "--weight", 1, *FOLDER, code="different-bases")
    assert hint == "--base, if they are the same weights under two names"
    base = write_smol(tmp_path / "base.gguf")
    succeeds("build", smol, other, "sum", "--weight", 1, "--weight", 1, *FOLDER, "--base", base)


def write_smol_adapter(folder, base_id):
    """Write an adapter of SmolLM2 135M that names its base in another way."""
    from ollama_pack.base.lookup import read_base_by_name

    base = read_base_by_name("smollm2:135m")
    config = {"base_model_name_or_path": base_id}
    return write_adapter(folder, base=base, modules=("q_proj",), layers=(0,), config=config)


def test_a_base_of_another_shape(smol, ada, tiny_gguf, tmp_path):
    """The base that the message names by its id is the right one."""
    hint = hint_of("build", smol, *FOLDER, "--base", tiny_gguf, code="does-not-fit")
    name = "--base with the model that the adapter was trained on, HuggingFaceTB/SmolLM2-135M-Instruct"
    assert hint == name
    succeeds("build", smol, *FOLDER, "--base", name.rpartition(" ")[2])
    set_config(smol, base_model_name_or_path="")
    hint = hint_of("build", smol, *FOLDER, "--base", tiny_gguf, code="does-not-fit")
    assert hint.endswith(f"; {CONFIG} does not name it")


def test_a_base_that_moved(smol, tmp_path, models):
    """Both ways of the message: the old weights again, or the word that accepts the new ones."""
    old = write_smol(tmp_path / "one.gguf")
    add_base(models, old, "smollm2", "135m")
    succeeds("build", smol, "ada", "--via", "store")
    shutil.rmtree(models / "manifests/registry.ollama.ai/library/smollm2")
    add_base(models, write_smol(tmp_path / "two.gguf", context=4096), "smollm2", "135m")
    words = ("register", smol / "ollama", "ada", "--via", "store")
    hint = hint_of(*words, code="base-mismatch")
    accept = "--base-mismatch-ok moved"
    assert hint == f"pull or import the weights of the build again; to accept these, {accept}"
    succeeds(*words, *accept.split())
    shutil.rmtree(models / "manifests/registry.ollama.ai/library/smollm2")
    add_base(models, old, "smollm2", "135m")
    succeeds(*words)


def test_weights_beyond_a_type(make_adapter, tiny_gguf):
    """A weight that f16 cannot hold is written as f32."""
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    a = np.ones((3, 20), np.float32)
    a[0, 0] = 1e6
    adapter = make_adapter(extra={name: a})
    hint = hint_of("convert", adapter, "--base", tiny_gguf, "--outtype", "f16", code="too-large")
    assert hint == "--outtype f32"
    succeeds("convert", adapter, "--base", tiny_gguf, *hint.split())
