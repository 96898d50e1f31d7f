"""A chat template saved with an adapter: told where the base has none, with the option that sets it."""

from dataclasses import replace

import pytest
from recipes import write_adapter
from terminal import run

from ollama_pack.base.lookup import read_base_by_name
from ollama_pack.gguf.model_info import ModelInfo
from ollama_pack.modelfile.template import find_template, template_names
from ollama_pack.pipeline.prompt.chat_format import like_template, missing_format

LLAMA3 = "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>{% endfor %}"
CHATML = "{% for m in messages %}<|im_start|>{{ m['role'] }}{% endfor %}"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Keep every build away from the user's Ollama."""
    for name, value in {"OLLAMA_HOST": "127.0.0.1:9", "OLLAMA_MODELS": tmp_path / "models"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_damaged_file(tmp_path, tiny_base):
    """It is told and stops nothing."""
    (tmp_path / "tokenizer_config.json").write_text("{", "utf-8")
    assert "tokenizer_config.json: " in missing_format(tmp_path, tiny_base)


@pytest.mark.parametrize("name", [name for name in template_names() if name != "inherit"])
def test_shipped_templates_are_known(name):
    """Each shipped template is told from the others by its marks and stops."""
    text = find_template(name).text.partition("\n")[2]
    assert like_template(text) == name
    assert like_template("{{ messages }}") == ""


def test_a_base_model(tmp_path):
    """A tag of a base model has no chat format, and the option that sets the saved one works."""
    sizes = read_base_by_name("llama3.2:1b-text-q8_0")
    home = write_adapter(
        tmp_path / "ada", base=sizes, modules=("v_proj",), layers=(0,),
        config={"base_model_name_or_path": "meta-llama/Llama-3.2-1B"},
    )  # fmt: skip
    (home / "chat_template.jinja").write_text(LLAMA3, "utf-8")
    told = run("build", home, "--base", "llama3.2:1b-text-q8_0", "--via", "folder").stderr
    assert "chat_template.jinja has the chat format that was trained" in told
    option = "--template llama3"
    assert f"llama3.2:1b-text-q8_0 is a base model without one: {option} sets it." in told
    ran = run("build", home, "--base", "llama3.2:1b-text-q8_0", "--via", "folder", *option.split())
    assert (ran.code, "format that was trained" in ran.stderr) == (0, False)
    assert "start_header_id" in (home / "ollama" / "Modelfile.txt").read_text("utf-8")
    chat = run("build", home, "--base", "llama3.2:1b", "--via", "folder").stderr
    assert "format that was trained" not in chat


@pytest.mark.parametrize(
    ("own", "told"),
    [(None, "has none: --template llama3"), (CHATML, "has that of chatml: --template llama3"), (LLAMA3, "")],
)
def test_a_gguf_base(tmp_path, tiny_base, own, told):
    """The header of a GGUF file tells whether it has the same format."""
    (tmp_path / "chat_template.jinja").write_text(LLAMA3, "utf-8")
    metadata = {"tokenizer.chat_template": own} if own else {}
    base = replace(tiny_base, info=ModelInfo("tiny.gguf", metadata, {}))
    found = missing_format(tmp_path, base)
    assert (told in found, bool(found)) == (True, bool(told))


def test_an_unknown_format(tmp_path, tiny_base):
    """A format that no shipped template has is told with the way to write one."""
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}", "utf-8")
    base = replace(tiny_base, info=ModelInfo("tiny.gguf", {}, {}))
    assert "--template FILE" in missing_format(tmp_path, base)
