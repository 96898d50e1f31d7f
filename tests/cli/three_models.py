"""A working directory with three adapters, and an ollama-pack.toml that names them."""

import pytest
from recipes import write_adapter

NAMES = ("ada", "babbage", "grace")
MODELS = """\
[options]
base = "tiny"
tag = "1.0.0"
parameter = { temperature = 0.5 }

[commands.release]
out = "dist"
report = false

[models.ada]
directory = "ada-lora"
parameter = { num_ctx = 2048 }

[models.babbage]
directory = "babbage-lora"
system = "You are Babbage."

[models."grace:2.0.0"]
directory = "grace-lora"
outtype = "f32"
"""


@pytest.fixture
def project(alone, tiny_tag):
    """Return the working directory, with three adapters and a file that names them."""
    for number, name in enumerate(NAMES):
        write_adapter(alone / f"{name}-lora", modules=("v_proj",), config={"lora_alpha": 4 + number})
    (alone / "ollama-pack.toml").write_text(MODELS)
    assert tiny_tag == "tiny"
    return alone


def names_of(document, key="releases"):
    """Return the names of the models in a document."""
    return [each["name"] for each in document[key]]
