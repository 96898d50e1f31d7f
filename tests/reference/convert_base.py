"""Run llama.cpp's converter on a tiny base: TREE, then the arguments of its ``convert_hf_to_gguf.py``.

It takes the sentencepiece model for every architecture: it knows byte-pair tokenizers only by their hash.
With ``--pairs``, after TREE, it takes such a tokenizer for GPT-2's instead. It sees keys of config.json as
they are written, since it misses those that transformers 5 renames as it reads them; keys of ``as_published``
win over what transformers writes, and a null takes one away. Heads that predict further tokens are left out:
transformers has none. Nothing of this plays a part in the order of a weight, with two exceptions: the experts
of Qwen3-VL lie the other way round in what was published than transformers saves them; and Baichuan's class
calls itself without end for all weights but one.
"""

import json
import runpy
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

READERS = ("gpt2", "qwen", "glm", "llama_hf", "plamo")
OWN_VOCABULARY = (
    *("chatglm.ChatGLMModel", "exaone.Exaone4Model", "gemma.Gemma4Model", "glm.Glm4Model"),
    *("granite.GraniteHybridModel", "hunyuan.HunYuanModel", "hunyuan.HunYuanMoEModel"),
    *("nemotron.NemotronHModel", "phi.Phi3MiniModel", "xverse.XverseModel"),
)
"""Classes of the converter that read a vocabulary in a way of their own."""


def read_plainly() -> None:
    """Make every class read the sentencepiece model, and leave out heads that predict further tokens."""
    base = import_module("conversion.base")
    plain = base.TextModel._set_vocab_sentencepiece
    for name in READERS:
        setattr(base.TextModel, f"_set_vocab_{name}", plain)
    for name in OWN_VOCABULARY:
        module, _, model = name.partition(".")
        getattr(import_module(f"conversion.{module}"), model).set_vocab = plain
    import_module("conversion.qwen")._QwenMtpMixin.no_mtp = True


def read_pairs() -> None:
    """Make the converter take any byte-pair tokenizer for GPT-2's."""
    base = import_module("conversion.base")
    base.TextModel.get_vocab_base_pre = lambda *_: "gpt-2"


def keep_keys() -> None:
    """Make the converter see what config.json says, beside what transformers makes of it."""
    model = import_module("conversion.base").ModelBase
    loaded = model.load_hparams

    def load(folder: Path, is_mistral_format: bool) -> dict[str, Any]:
        raw = json.loads((Path(folder) / "config.json").read_text("utf-8"))
        published = raw.pop("as_published", {})
        read = {**raw, **loaded(folder, is_mistral_format), **published}
        return {key: value for key, value in read.items() if published.get(key, key) is not None}

    model.load_hparams = staticmethod(load)


def turn_experts() -> None:
    """Turn the experts of Qwen3-VL round before the converter does."""
    model = import_module("conversion.qwen3vl").Qwen3VLMoeTextModel
    published = model.modify_tensors

    def turn(self: Any, data: Any, name: str, bid: int | None) -> Iterator[Any]:
        yield from published(self, data.transpose(1, 2) if ".experts." in name else data, name, bid)

    model.modify_tensors = turn


def name_plainly() -> None:
    """Let the weights of Baichuan that need no order go the usual way."""
    model, usual = (
        import_module("conversion.baichuan").BaichuanModel,
        import_module("conversion.base").TextModel,
    )
    packed = model.modify_tensors

    def modify(self: Any, data: Any, name: str, bid: int | None) -> Iterator[Any]:
        yield from (packed if "W_pack" in name else usual.modify_tensors)(self, data, name, bid)

    model.modify_tensors = modify


def main() -> None:
    """Convert."""
    tree = sys.argv.pop(1)
    sys.path.insert(0, tree)
    import_module("conversion").load_all_models()
    if "--pairs" in sys.argv:
        sys.argv.remove("--pairs")
        read_pairs()
    else:
        read_plainly()
    keep_keys()
    turn_experts()
    name_plainly()
    runpy.run_path(f"{tree}/convert_hf_to_gguf.py", run_name="__main__")


if __name__ == "__main__":
    main()
