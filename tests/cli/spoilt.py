"""The ways to spoil an adapter, its base or the words of a command: a table for test_bad_input."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recipes import TINY, resized, safetensors, with_header, write_adapter, write_model

CONFIG, WEIGHTS, BUILT = "adapter_config.json", "adapter_model.safetensors", "ollama/adapter_model.gguf"


@dataclass
class Scene:
    """An adapter and its base, to be spoilt.

    Attributes:
        ada: the adapter directory.
        base: what --base says.
        more: further words of the command.
    """

    ada: Path
    base: Path | str
    more: tuple[str, ...] = ()

    def anew(self, **recipe):
        """Write the adapter anew, from another recipe."""
        write_adapter(self.ada, **recipe)

    def config(self, **changes):
        """Change keys of the configuration."""
        path = self.ada / CONFIG
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def weights(self, content):
        """Put other bytes in place of the weights."""
        (self.ada / WEIGHTS).write_bytes(content)

    def author(self, content):
        """Write a Modelfile.txt of the author's."""
        (self.ada / "Modelfile.txt").write_bytes(content)

    def file(self, name, content=b""):
        """Write a file beside the adapter, and return its path."""
        path = self.ada.parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path


BAD = {}
"""What is spoilt → how, the exit code, and what must be said."""


def bad(code, *told):
    """Enter a way to spoil a scene into the table, with the exit code and what must be said."""

    def enter(spoil):
        BAD[spoil.__name__.replace("_", " ")] = (spoil, code, told)
        return spoil

    return enter


@bad(2, "no such directory")
def missing_directory(scene):
    scene.ada = scene.ada.parent / "nowhere"


@bad(2, "This is a file")
def file_for_a_directory(scene):
    scene.ada /= WEIGHTS


@bad(3, "There is no adapter_config.json")
def missing_configuration(scene):
    (scene.ada / CONFIG).unlink()


@bad(3, "not JSON", CONFIG)
def configuration_is_not_json(scene):
    (scene.ada / CONFIG).write_text("{'r': 8}")


@bad(3, CONFIG)
def configuration_is_not_utf_8(scene):
    (scene.ada / CONFIG).write_bytes(b'{"peft_type": "LORA\xff"}')


@bad(3, "not hold a JSON object")
def configuration_is_a_list(scene):
    (scene.ada / CONFIG).write_text("[]")


@bad(3, CONFIG)
def configuration_is_a_directory(scene):
    (scene.ada / CONFIG).unlink()
    (scene.ada / CONFIG).mkdir()


@bad(3, "There is no adapter_model.safetensors")
def missing_weights(scene):
    (scene.ada / WEIGHTS).unlink()


@bad(4, "pickle", "safe_serialization=True")
def weights_are_a_pickle(scene):
    (scene.ada / WEIGHTS).rename(scene.ada / "adapter_model.bin").write_bytes(b"\x80\x02}q\x00.")


@bad(3, WEIGHTS)
def weights_cut_short(scene):
    scene.weights((scene.ada / WEIGHTS).read_bytes()[:-1])


@bad(3, WEIGHTS)
def empty_weights(scene):
    scene.weights(b"")


@bad(3, "nothing was trained, or nothing was saved")
def adapter_of_443_bytes(scene):
    header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
    scene.weights(with_header(header.ljust(443 - 8)))


@bad(3, WEIGHTS)
def header_longer_than_the_file(scene):
    scene.weights(struct.pack("<Q", 2**62) + b"{}")


@bad(3, WEIGHTS)
def header_lies_about_a_shape(scene):
    tensor = {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}
    scene.weights(with_header({"x.lora_A.weight": tensor}, bytes(4)))


@bad(3, "NaN", "checkpoint")
def diverged_weights(scene):
    scene.anew(extra={"base_model.model.model.layers.1.mlp.up_proj.lora_B.weight": np.full((28, 3), np.nan)})


@bad(4, "--outtype f32")
def weights_too_large_for_f16(scene):
    scene.anew(extra={"base_model.model.model.layers.1.mlp.up_proj.lora_B.weight": np.full((28, 3), 1e5)})


@bad(3, "rank")
def rank_is_another(scene):
    scene.config(r=5)


@bad(3, "lora_alpha")
def alpha_is_a_word(scene):
    scene.config(lora_alpha="sixteen")


@bad(4, "transformer.h.0.attn.c_attn")
def adapter_of_another_architecture(scene):
    name = "base_model.model.transformer.h.0.attn.c_attn.lora_"
    scene.weights(safetensors({f"{name}A.weight": np.ones((3, 20)), f"{name}B.weight": np.ones((60, 3))}))


@bad(3, "does not fit the base", "the adapter expects 24×20")
def adapter_of_a_larger_base(scene):
    scene.base = write_model(scene.ada.parent / "wide.gguf", resized(TINY, hidden=24))


@bad(4, "DoRA")
def dora(scene):
    scene.config(use_dora=True)


@bad(4, "IA3")
def another_method(scene):
    scene.config(peft_type="IA3")


@bad(4, "norm")
def trained_norms(scene):
    scene.anew(extra={"base_model.model.model.norm.weight": np.ones(20)})


@bad(3, "not GGUF")
def base_is_not_gguf(scene):
    scene.base = scene.file("base.gguf", b"PK\x03\x04 and so on")


@bad(3, "base.gguf")
def base_is_empty(scene):
    scene.base = scene.file("base.gguf")


@bad(3, "cut short")
def base_lacks_its_last_byte(scene):
    scene.base = scene.file("base.gguf", scene.base.read_bytes()[:-1])


@bad(2, "gone.gguf")
def base_is_missing(scene):
    scene.base = scene.ada.parent / "gone.gguf"


@bad(3, "directory")
def base_is_a_directory(scene):
    scene.base = scene.ada


@bad(4, "architecture 'clip' cannot be converted", "ollama-pack archs")
def base_of_an_unknown_architecture(scene):
    scene.base = write_model(scene.ada.parent / "clip.gguf", resized(TINY, arch="clip"))


@bad(2, "vicunna:7b", "vicuna:7b")
def base_is_misspelt(scene):
    scene.base = "vicunna:7b"


@bad(2, "a" * 300)
def base_has_a_name_too_long_for_a_file(scene):
    scene.base = "a" * 300


@bad(2, "Nothing says which base", "--base")
def nothing_names_a_base(scene):
    scene.config(base_model_name_or_path=None)
    scene.base = ""


@bad(2, "ada lovelace", "ada-lovelace")
def name_with_a_space(scene):
    scene.more = ("ada lovelace",)


@bad(2, "cloud")
def name_of_the_cloud(scene):
    scene.more = ("ada:7b-cloud",)


@bad(2, "must start with")
def name_begins_with_a_sign(scene):
    scene.more = ("--name", ".ada")


@bad(2, "81 characters", "80")
def name_is_too_long(scene):
    scene.more = ("a" * 81,)


@bad(2, "temprature", "did you mean temperature?")
def parameter_is_misspelt(scene):
    scene.more = ("--parameter", "temprature=0.3")


@bad(2, "temperature must be a number")
def parameter_is_of_another_type(scene):
    scene.more = ("--parameter", "temperature=cold")


@bad(2, "There is no template")
def template_is_missing(scene):
    scene.more = ("--template", "a" * 300)


@bad(3, "line 2")
def template_is_damaged(scene):
    scene.more = ("--template", str(scene.file("mine", b"FROM x\n[% if %]\n")))


@bad(3, "Modelfile.txt")
def modelfile_is_damaged(scene):
    scene.author(b"FROM x\nPARAMETR temperature 1\n")


@bad(3, "Modelfile.txt")
def modelfile_is_not_text(scene):
    scene.author(b"FROM x\n\xff\xfe\xfd\n")


@bad(3, "Modelfile.txt")
def modelfile_is_a_directory(scene):
    (scene.ada / "Modelfile.txt").mkdir()


@bad(7, "not a GGUF LoRA", "--out")
def a_file_of_the_users_is_in_the_way(scene):
    scene.file(scene.ada / BUILT, b"my thesis")


@bad(7, "not a GGUF LoRA")
def a_directory_of_the_users_is_in_the_way(scene):
    (scene.ada / BUILT).mkdir(parents=True)


@bad(7, "not a GGUF LoRA")
def the_base_is_in_the_way(scene):
    scene.file(scene.ada / BUILT, scene.base.read_bytes())
