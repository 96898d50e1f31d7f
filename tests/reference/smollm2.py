"""SmolLM2-135M-Instruct in float32: the numbers of its Q4_1 file, without the rounding of the runtime.

Imported by the recorder and by the tests; needs gguf and numpy.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct"
LAYER_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER_PARTS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def numbers(tensor: gguf.ReaderTensor) -> npt.NDArray[np.float32]:
    """Return a tensor's numbers as the runtime would compute with them."""
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)


def write_f32(source: Path, target: Path) -> None:
    """Write a GGUF file with the same metadata and tokenizer, and every tensor in float32."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == gguf.Keys.General.ARCHITECTURE:
            continue
        value = int(gguf.LlamaFileType.ALL_F32) if name == gguf.Keys.General.FILE_TYPE else field.contents()
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], inner)
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), 4 * int(tensor.n_elements))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        writer.write_tensor_data(numbers(tensor))
    writer.close()


def settings(source: Path) -> dict[str, Any]:
    """Return the model's sizes and constants under the names of a transformers config."""
    fields = gguf.GGUFReader(source).fields
    names = {
        "hidden_size": "llama.embedding_length",
        "intermediate_size": "llama.feed_forward_length",
        "num_hidden_layers": "llama.block_count",
        "num_attention_heads": "llama.attention.head_count",
        "num_key_value_heads": "llama.attention.head_count_kv",
        "max_position_embeddings": "llama.context_length",
        "vocab_size": "llama.vocab_size",
        "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
        "rope_theta": "llama.rope.freq_base",
        "bos_token_id": "tokenizer.ggml.bos_token_id",
        "eos_token_id": "tokenizer.ggml.eos_token_id",
    }
    return {name: fields[key].contents() for name, key in names.items()}


def transformers_name(name: str) -> str:
    """Return a tensor's name in transformers."""
    parts = name.removesuffix(".weight").split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{LAYER_PARTS[parts[2]]}.weight"
    return f"{OUTER_PARTS[parts[0]]}.weight"


def transformers_weights(source: Path) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield the numbers under transformers' names, the rows of q and k in transformers' order."""
    sizes = settings(source)
    heads = {"attn_q": sizes["num_attention_heads"], "attn_k": sizes["num_key_value_heads"]}
    for tensor in gguf.GGUFReader(source).tensors:
        held = numbers(tensor)
        count = next((count for part, count in heads.items() if f".{part}." in tensor.name), None)
        if count is not None:
            held = held.reshape(count, -1, 2, held.shape[1]).swapaxes(1, 2).reshape(held.shape)
        yield transformers_name(tensor.name), held
