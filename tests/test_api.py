"""The public face: what it offers, its examples, and docs/api.md, which is written from the docstrings."""

import doctest
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipes import write_adapter

import ollama_pack
from ollama_pack.base.lookup import read_base_by_name

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
NAMES = [name for name in ollama_pack.__all__ if name != "__version__"]
HEAD = """# The Python interface

Written from the docstrings by `make goldens`, and checked by `make test`. Every example is run as it stands.

```python
import ollama_pack
```
"""


def examples_of(name: str) -> list[doctest.Example]:
    """Return the examples in the docstring of a public name."""
    return doctest.DocTestParser().get_examples(inspect.getdoc(getattr(ollama_pack, name)) or "")


def section(name: str) -> str:
    """Return what the page says of a public name: its signature and its docstring."""
    value = getattr(ollama_pack, name)
    names = [] if is_error(value) else list(inspect.signature(value).parameters)
    return f"\n## {name}({', '.join(names)})\n\n```text\n{inspect.getdoc(value)}\n```\n"


def is_error(value: object) -> bool:
    """Return whether a value is one of the errors, whose signature they all share."""
    return isinstance(value, type) and issubclass(value, ollama_pack.PackError)


def test_the_list_is_the_face():
    """What `__all__` lists is what there is, each name with the module that defines it."""
    assert sorted(ollama_pack.__all__) == dir(ollama_pack)
    assert sorted(NAMES) == sorted(ollama_pack._HOMES)
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = ollama_pack.nothing_here


def test_importing_the_package_is_light():
    """Importing the package imports none of its rooms: they come with the first name that is used."""
    code = "import sys, ollama_pack; print([name for name in sys.modules if name.startswith('ollama_pack.')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_an_example(name):
    """Each public name is documented with an example."""
    assert examples_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name, tmp_path, monkeypatch):
    """Each example prints what it shows, in a directory that has the adapter it names."""
    sizes = read_base_by_name("smollm2:135m")
    config = {"base_model_name_or_path": sizes.source_id}
    write_adapter(
        tmp_path / "ada-lovelace-lora", base=sizes, modules=("q_proj", "v_proj"), layers=(0,), config=config
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    found = doctest.DocTest(examples_of(name), {}, name, None, None, None)
    said: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    doctest.DocTestRunner(optionflags=flags).run(found, out=said.append)
    assert said == []
    assert os.getcwd() == str(tmp_path)  # noqa: PTH109 — what an example must not change


def test_the_page_is_written_from_the_docstrings(request):
    """docs/api.md says what the docstrings say."""
    text = HEAD + "".join(section(name) for name in NAMES)
    if request.config.getoption("--update-goldens"):
        PAGE.write_text(text, "utf-8")
    assert PAGE.read_text("utf-8") == text
