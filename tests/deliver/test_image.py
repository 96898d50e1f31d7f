"""From a base and a package to bytes, without a disk."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_model import base_noun

from ollama_pack.deliver.image import build_image, image_of_gguf
from ollama_pack.deliver.package import Package
from ollama_pack.errors import DestinationError, InputError, UnsupportedError
from ollama_pack.lora.plan import LoraFile
from ollama_pack.ollama.manifest import BaseImage, Layer, has_adapter, parse_manifest
from ollama_pack.ollama.names import parse_name

IMAGE = "application/vnd.ollama.image."
PLAIN = {"model_format": "gguf", "model_family": "llama", "model_type": "7B", "file_type": "Q4_0"}


def layer(kind, content=b"", origin="base:latest"):
    digest = f"sha256:{hashlib.sha256(kind.encode() + content).hexdigest()}"
    return Layer(IMAGE + kind, digest, len(content), content=content or None, origin=origin)


def package(**fields):
    adapter = LoraFile(Path("lora.gguf"), "sha256:" + "a" * 64, 10, "f16")
    return Package(name=parse_name("ada"), adapter=adapter, base=base_noun(tag="base"), **fields)


def build(*layers, config=PLAIN, **fields):
    return build_image(package(**fields), BaseImage((layer("model"), *layers), config))


def config_of(image):
    return json.loads(image.config.content)


def content_of(image, kind):
    return next(found.content for found in image.layers if found.media_type == IMAGE + kind)


def test_the_manifest_is_one_line_as_go_writes_it():
    """Field order, inherited names and the closing newline are Ollama's."""
    image = build()
    config, model = image.config, image.layers[0]
    assert image.manifest.decode() == (
        '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        '"config":{"mediaType":"application/vnd.docker.container.image.v1+json",'
        f'"digest":"{config.digest}","size":{config.size}}},'
        f'"layers":[{{"mediaType":"{IMAGE}model","digest":"{model.digest}","size":0,"from":"base:latest"}},'
        f'{{"mediaType":"{IMAGE}adapter","digest":"sha256:{"a" * 64}","size":10,"from":"lora.gguf"}}]}}\n'
    )


def test_the_configuration_is_the_base_configuration():
    """Without words of its own a model has the base's configuration, in Ollama's order."""
    assert build().config.content == (
        b'{"model_format":"gguf","model_family":"llama","model_families":["llama"],"model_type":"7B",'
        b'"file_type":"Q4_0","architecture":"amd64","os":"linux"}\n'
    )


def test_renderer_parser_and_requires_are_inherited_or_set():
    """The package's words win over the base's; what Ollama does not inherit is dropped."""
    base = PLAIN | {
        "renderer": "r0",
        "parser": "p0",
        "capabilities": ["tools"],
        "base_name": "x",
        "rootfs": {},
    }
    config = config_of(build(config=base, parser="p1", requires="0.5.0"))
    assert {key: config.get(key) for key in ("renderer", "parser", "requires")} == {
        "renderer": "r0",
        "parser": "p1",
        "requires": "0.5.0",
    }
    assert config["capabilities"] == ["tools"]
    assert not {"base_name", "rootfs"} & config.keys()


def test_an_architecture_brings_its_renderer_where_nobody_set_one():
    """Gemma 4 gets Ollama's renderer, parser and stop word; a stop word of the user's stays."""
    gemma = PLAIN | {"model_family": "gemma4"}
    image = build(config=gemma)
    assert (config_of(image)["renderer"], config_of(image)["parser"]) == ("gemma4", "gemma4")
    assert json.loads(content_of(image, "params")) == {"stop": ["<turn|>"]}
    mine = build(config=gemma, parameters={"stop": ["END"]})
    assert json.loads(content_of(mine, "params")) == {"stop": ["END"]}
    assert "params" not in str(build(config=gemma, renderer="r", parser="p").manifest)


def test_base_parameters_are_written_anew_and_sorted():
    """Ollama re-encodes inherited parameters even when nothing changes."""
    image = build(layer("params", b'{ "top_k": 40.0, "stop": ["<a>"] }'))
    assert content_of(image, "params") == b'{"stop":["\\u003ca\\u003e"],"top_k":40}\n'


def test_messages_replace_the_base_messages():
    """There is one messages layer, with roles in lower case and fields in Ollama's order."""
    image = build(layer("messages", b"[]"), messages=({"content": "hi", "role": "User", "thinking": ""},))
    assert [found.media_type for found in image.layers].count(f"{IMAGE}messages") == 1
    assert content_of(image, "messages") == b'[{"role":"user","content":"hi"}]\n'


def test_a_gguf_base_is_one_layer_without_origin():
    """A file of the user's has no model it is taken from."""
    base = base_noun(gguf_file=Path("base.gguf"))
    image = build_image(replace(package(), base=base), image_of_gguf(base, "sha256:" + "b" * 64, 99))
    assert image.layers[0].origin == ""
    assert config_of(image) | {"model_type": "36K", "file_type": "F16"} == config_of(image)
    assert config_of(image)["model_families"] == ["llama"]


@pytest.mark.parametrize(
    "config", [PLAIN | {"model_format": "safetensors"}, PLAIN | {"remote_host": "https://ollama.com:443"}]
)
def test_a_base_that_would_ignore_the_adapter_is_refused(config):
    """MLX models and models of the cloud take no adapter, and say nothing; we do."""
    with pytest.raises(UnsupportedError):
        build(config=config)


def test_a_base_with_an_adapter_is_known():
    """An adapter of the base's is kept, and can be warned of."""
    base = BaseImage((layer("model"), layer("adapter", b"1")), PLAIN)
    assert has_adapter(base.layers)
    kinds = [found.media_type for found in build_image(package(), base).layers]
    assert kinds.count(f"{IMAGE}adapter") == 2


def test_a_parameter_json_cannot_hold_is_refused():
    """Infinity has no place in a parameters layer."""
    with pytest.raises(InputError):
        build(parameters={"temperature": float("inf")})


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"config":{},"layers":[]}', b'{"config":1,"layers":2}']
)
def test_what_is_no_manifest_is_refused(content):
    """Damaged bytes and lists of manifests are an error with a place."""
    with pytest.raises(DestinationError) as caught:
        parse_manifest(content, where="there")
    assert caught.value.where == "there"
