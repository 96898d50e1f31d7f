"""What is trained beside A and B: formulas by hand, places in every layout, and what the proof finds."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from archive import names_of, unpacked
from kinds import KINDS
from recipes import read_numbers, safetensors

from ollama_pack.base.gguf_header import read_base_gguf
from ollama_pack.errors import InputError, ProofError, UnsupportedError
from ollama_pack.gguf.split import read_parts
from ollama_pack.gguf.tensors import LazyTensor
from ollama_pack.lora.adapter import TrainedTensor
from ollama_pack.lora.beside import NORM_OFFSETS, RowRole, plan_beside
from ollama_pack.lora.combine import sum_adapters
from ollama_pack.lora.peft.directory import resolve_directory
from ollama_pack.lora.peft.load import load_adapter
from ollama_pack.lora.planner import plan_lora
from ollama_pack.lora.untied import ALWAYS_TIED, untied
from ollama_pack.merge.keys import MergeLabels
from ollama_pack.merge.plan import plan_merge
from ollama_pack.merge.write import write_merged
from ollama_pack.verify.merged import prove_merged

MERGED = [
    kind
    for kind in KINDS
    if kind.merges and not (kind.by_peft or kind.resized) and kind.model != "llama-tied"
    if kind.rule != "replication"
]
by_case = pytest.mark.parametrize("kind", MERGED, ids=lambda kind: kind.case)


def adapter_of(model: str, case: str):
    return load_adapter(resolve_directory(unpacked("kinds", model) / case, ""), merging=True)


def base_of(model: str):
    return read_base_gguf(unpacked("kinds", model) / "base.gguf")


def merge(adapter, base, path: Path, beside=None) -> Path:
    whole = untied(base, adapter)
    rows = plan_beside(adapter, whole) if beside is None else beside
    labels = MergeLabels(own_head=whole is not base)
    write_merged(
        plan_merge(read_parts(base.gguf), plan_lora(adapter, whole), "auto", rows, labels=labels), path
    )
    return path


def numbers_of(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file, as gguf's own reader finds them."""
    return {each.name: np.array(each.data, np.float64) for each in gguf.GGUFReader(path).tensors}


def test_dora_by_hand(tmp_path):
    """M · (W + s·B·A) / ‖W + s·B·A‖ for each row, in float64."""
    adapter, base = adapter_of("llama", "dora"), base_of("llama")
    merged, before = numbers_of(merge(adapter, base, tmp_path / "merged.gguf")), numbers_of(base.gguf)
    trained = read_numbers(adapter.weights)
    for module, tensor in (("self_attn.v_proj", "attn_v"), ("mlp.down_proj", "ffn_down")):
        front = f"base_model.model.model.layers.1.{module}"
        scale = adapter.config["lora_alpha"] / adapter.config["r"]
        delta = scale * trained[f"{front}.lora_B.weight"] @ trained[f"{front}.lora_A.weight"]
        whole = before[f"blk.1.{tensor}.weight"] + delta
        length = trained[f"{front}.lora_magnitude_vector"] / np.linalg.norm(whole, axis=1)
        assert np.allclose(merged[f"blk.1.{tensor}.weight"], length[:, None] * whole, atol=1e-6)


@pytest.mark.parametrize("fault", ["left out", "other rows", "doubled", "once more"])
@by_case
def test_what_the_proof_finds(tmp_path, kind, fault):
    """Rows that are forgotten, go elsewhere or come out too large are found by name."""
    adapter, base = adapter_of(kind.model, kind.case), base_of(kind.model)
    first, *others = plan_beside(adapter, base)
    wrong = {
        "left out": (),
        "other rows": (first._replace(rows=np.roll(first.rows, 1)),),
        "doubled": (first._replace(factor=first.factor * 2),),
        "once more": (first, first._replace(role=RowRole.ADD)),
    }[fault]
    report = prove_merged(adapter, base, merge(adapter, base, tmp_path / "merged.gguf", (*wrong, *others)))
    assert not report.result.passed
    assert report.result.worst == first.tensor


def fused(base: Path, path: Path) -> Path:
    """Write a llama-like base with q, k and v in one tensor."""
    reader, writer = gguf.GGUFReader(base), gguf.GGUFWriter(path, "llama")
    for field in reader.fields.values():
        if field.name.startswith(("llama.", "tokenizer.")) and field.types[0] != gguf.GGUFValueType.ARRAY:
            writer.add_key_value(field.name, field.contents(), field.types[0])
    held = {each.name: np.array(each.data) for each in reader.tensors}
    for name, numbers in held.items():
        if ".attn_q." in name:
            parts = [held[name.replace("attn_q", part)] for part in ("attn_q", "attn_k", "attn_v")]
            writer.add_tensor(name.replace("attn_q", "attn_qkv"), np.concatenate(parts))
        elif ".attn_k." not in name and ".attn_v." not in name:
            writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_dora_on_a_base_that_joins_q_k_and_v(tmp_path):
    """The lengths of q and v go to their own rows of the joined tensor; those of k stay."""
    adapter, apart = adapter_of("llama", "dora"), base_of("llama")
    joined = read_base_gguf(fused(apart.gguf, tmp_path / "fused.gguf"))
    path = merge(adapter, joined, tmp_path / "merged.gguf")
    assert prove_merged(adapter, joined, path).result.passed
    found, single = numbers_of(path), numbers_of(merge(adapter, apart, tmp_path / "apart.gguf"))
    parts = [single[f"blk.0.attn_{part}.weight"] for part in "qkv"]
    assert np.allclose(found["blk.0.attn_qkv.weight"], np.concatenate(parts), atol=1e-6)


def norm_of(size: int) -> TrainedTensor:
    numbers = LazyTensor(Path("adapter"), "norm", (size,), (), lambda: np.zeros(size, np.float32))
    return TrainedTensor("norm", "model.layers.0.input_layernorm", numbers)


@pytest.mark.parametrize(("arch", "offset"), [("llama", 0.0), ("gemma2", 1.0), ("nemotron", 1.0)])
def test_a_norm_in_the_form_of_its_family(arch, offset):
    """Gemma and Nemotron compute with 1 + w, which is what a GGUF file holds."""
    base = base_of("llama")
    base = replace(base, hparams=replace(base.hparams, arch=arch))
    adapter = replace(adapter_of("llama", "plain"), beside=(norm_of(base.hparams.hidden),))
    (values,) = plan_beside(adapter, base)
    assert (values.tensor, values.offset) == ("blk.0.attn_norm.weight", offset)


def test_each_family_with_norms_is_recorded():
    """No converter's doing is believed without PEFT's logits."""
    assert set(names_of("merged")) == set(NORM_OFFSETS)


def test_a_norm_of_a_family_that_is_not_known():
    """What a converter does to its norms is not guessed."""
    base = base_of("llama")
    base = replace(base, hparams=replace(base.hparams, arch="falcon-h1"))
    adapter = replace(adapter_of("llama", "plain"), beside=(norm_of(base.hparams.hidden),))
    with pytest.raises(UnsupportedError, match="no tensor for what was trained") as caught:
        plan_beside(adapter, base)
    assert caught.value.code == "not-mergeable"


def test_a_size_that_does_not_fit():
    """The tensor of the adapter and that of the base are named."""
    base = base_of("llama")
    adapter = replace(adapter_of("llama", "plain"), beside=(norm_of(base.hparams.hidden + 1),))
    with pytest.raises(InputError, match=r"norm and blk.0.attn_norm.weight"):
        plan_beside(adapter, base)


def test_a_bias_that_the_base_lacks():
    """A base without biases has no place for that of lora_bias."""
    with pytest.raises(UnsupportedError, match=r"lora_B\.bias"):
        plan_beside(adapter_of("llama", "lora-bias"), base_of("llama"))


def changed(case: str, tmp_path: Path, change) -> Path:
    """Return a copy of a recorded adapter with other tensors."""
    home = shutil.copytree(unpacked("kinds", "llama") / case, tmp_path / "ada-lora")
    path = home / "adapter_model.safetensors"
    path.write_bytes(safetensors(change({k: v.astype(np.float32) for k, v in read_numbers(path).items()})))
    return home


def test_dora_without_one_of_its_lengths(tmp_path):
    """A module whose magnitudes are not there is named, not merged as plain LoRA."""
    home = changed(
        "dora",
        tmp_path,
        lambda held: {
            k: v for k, v in held.items() if not k.endswith("1.mlp.down_proj.lora_magnitude_vector")
        },
    )
    with pytest.raises(InputError, match=r"layers.1.mlp.down_proj: has no lora_magnitude_vector"):
        load_adapter(resolve_directory(home, ""), merging=True)


def test_dora_without_any_length(tmp_path):
    """The setting alone says that they are missing."""
    home = changed("dora", tmp_path, lambda held: {k: v for k, v in held.items() if "magnitude" not in k})
    assert json.loads((home / "adapter_config.json").read_text())["use_dora"]
    with pytest.raises(InputError, match="has no lora_magnitude_vector"):
        load_adapter(resolve_directory(home, ""), merging=True)


def test_a_head_with_nan(tmp_path):
    """What was trained beside A and B is looked at, too."""

    def spoil(held):
        held["base_model.model.lm_head.weight"][3, 4] = np.nan
        return held

    with pytest.raises(InputError, match=r"lm_head.weight: 1 of"):
        load_adapter(resolve_directory(changed("save-head", tmp_path, spoil), ""), merging=True)


def test_a_sum_of_more_than_a_and_b():
    """PEFT sums no whole weights either."""
    with pytest.raises(UnsupportedError, match="cannot be summed"):
        sum_adapters([adapter_of("llama", "plain"), adapter_of("llama", "dora")], [0.5, 0.5])


@pytest.mark.parametrize("case", ["head-tied", "embedding-tied"])
def test_the_head_of_a_tied_base(tmp_path, case):
    """It becomes a tensor of its own: what was not trained keeps the very bytes of the embeddings."""
    adapter, base = adapter_of("llama-tied", case), base_of("llama-tied")
    path = merge(adapter, base, tmp_path / "merged.gguf")
    before, after = numbers_of(base.gguf), numbers_of(path)
    assert "output.weight" not in before
    kept, changed_one = ("token_embd", "output") if case == "head-tied" else ("output", "token_embd")
    assert (after[f"{kept}.weight"] == before["token_embd.weight"]).all()
    assert not np.allclose(after[f"{changed_one}.weight"], before["token_embd.weight"])
    assert prove_merged(adapter, base, path).result.passed


def test_a_head_that_is_not_made(tmp_path):
    """The proof misses it."""
    adapter, base = adapter_of("llama-tied", "embedding-tied"), base_of("llama-tied")
    plan = plan_lora(adapter, untied(base, adapter))
    write_merged(plan_merge(read_parts(base.gguf), plan, "auto"), tmp_path / "merged.gguf")
    with pytest.raises(ProofError, match="only one of the two files"):
        prove_merged(adapter, base, tmp_path / "merged.gguf")


@pytest.mark.parametrize("arch", sorted(ALWAYS_TIED))
def test_a_head_that_llama_cpp_would_not_load(arch):
    """Such a base stays as it is, and the adapter is refused."""
    base = base_of("llama-tied")
    base = replace(base, hparams=replace(base.hparams, arch=arch))
    assert untied(base, adapter_of("llama-tied", "head-tied")) is base
