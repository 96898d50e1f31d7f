"""A Llama small enough to be made in a test, and adapters for it, as GGUF files."""

import hashlib
from pathlib import Path

import gguf
import numpy as np

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.model import BaseModel
from ollama_pack.lora.plan import LoraFile

ARCH, BLOCKS, HEADS, KV_HEADS, HEAD_DIM, FEED_FORWARD, RANK = "llama", 2, 4, 2, 8, 48, 4
HIDDEN = HEADS * HEAD_DIM


def make_base(path: Path, *, name: str = "tiny", seed: int = 1, chat: str = "", merged: bool = False) -> Path:
    """Write a base with random weights and a tokenizer of bytes.

    `chat` is its template for prompts; a `merged` one says that it has an adapter in its weights.
    """
    rng = np.random.default_rng(seed)
    tokens, types = _vocabulary()
    writer = gguf.GGUFWriter(path, ARCH)
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_block_count(BLOCKS)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(i) for i in range(len(tokens))])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    if merged:
        writer.add_string("ollama_pack.merged_adapter", f"sha256:{seed:064x}")
    if chat:
        writer.add_chat_template(chat)
    for tensor, shape in _shapes(len(tokens)).items():
        if len(shape) == 1:
            writer.add_tensor(tensor, np.ones(shape, np.float32))
        else:
            writer.add_tensor(tensor, rng.normal(0, 0.6, shape).astype(np.float16))
    _finish(writer)
    return path


def make_header(path: Path, arch: str, *, whole: bool = False, **numbers: int) -> Path:
    """Write a model that is a header and one tensor, or all; `numbers` are its metadata."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for key, number in numbers.items():
        writer.add_uint32(key.replace("__", "."), number)
    for name, shape in _shapes(4).items() if whole else [("token_embd.weight", (4, 4))]:
        writer.add_tensor(name, np.zeros(shape, np.float16))
    _finish(writer)
    return path


def make_adapter(
    path: Path, *, seed: int = 2, size: float = 1.0, invocation: tuple[int, ...] = (), arch: str = ARCH
) -> LoraFile:
    """Write an adapter on the value and gate weights, which change every answer when `size` is not small.

    With `invocation` it is an aLoRA, which acts after these tokens.
    """
    rng = np.random.default_rng(seed)
    shapes = _shapes(0)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    if invocation:
        writer.add_array("adapter.alora.invocation_tokens", list(invocation))
    for block in range(BLOCKS):
        for kind in ("attn_v", "ffn_gate"):
            tensor = f"blk.{block}.{kind}.weight"
            out, into = shapes[tensor]
            writer.add_tensor(f"{tensor}.lora_a", rng.normal(0, size, (RANK, into)).astype(np.float32))
            writer.add_tensor(f"{tensor}.lora_b", rng.normal(0, size, (out, RANK)).astype(np.float32))
    _finish(writer)
    return lora_file(path)


def adapter_for(base: Path, path: Path, *, seed: int = 3) -> LoraFile:
    """Write an adapter on the value and gate weights of any base, strong enough to be heard."""
    rng = np.random.default_rng(seed)
    reader = gguf.GGUFReader(base)
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for tensor in reader.tensors:
        if tensor.name.endswith(("attn_v.weight", "ffn_gate.weight")):
            into, out = (int(extent) for extent in tensor.shape)
            a = rng.normal(0, 0.2, (RANK, into)).astype(np.float32)
            writer.add_tensor(f"{tensor.name}.lora_a", a)
            writer.add_tensor(f"{tensor.name}.lora_b", rng.normal(0, 0.2, (out, RANK)).astype(np.float32))
    _finish(writer)
    return lora_file(path)


def details_of(base: Path) -> dict[str, str]:
    """Return what the daemon makes of a base's header: a count of parameters and the quantisation."""
    reader = gguf.GGUFReader(base)
    count = sum(int(tensor.n_elements) for tensor in reader.tensors)
    kind = gguf.LlamaFileType(int(reader.fields["general.file_type"].contents())).name
    human = f"{count / 1e6:.2f}M" if count >= 1e6 else f"{count / 1e3:.0f}K"
    return {"model_type": human, "file_type": kind.removeprefix("MOSTLY_")}


def lora_file(path: Path) -> LoraFile:
    """Return the noun for an adapter file."""
    content = path.read_bytes()
    return LoraFile(path, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content), "f32")


def base_noun(*, tag: str = "", gguf_file: Path | None = None) -> BaseModel:
    """Return the noun for the tiny base."""
    return BaseModel(
        hparams=HParams(
            arch=ARCH, blocks=BLOCKS, heads=HEADS, kv_heads=KV_HEADS, head_dim=HEAD_DIM, hidden=HIDDEN
        ),
        tag=tag,
        gguf=gguf_file,
        details={"model_type": "36K", "file_type": "F16"},
    )


def _vocabulary() -> tuple[list[str], list[int]]:
    letters = [f"\u2581{c}" for c in "abcdefghijklmnopqrstuvwxyz"] + list("abcdefghijklmnopqrstuvwxyz \u2581")
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    kinds = gguf.TokenType
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256, *[kinds.NORMAL] * len(letters)]
    return tokens, types


def _shapes(vocab: int) -> dict[str, tuple[int, ...]]:
    keys = KV_HEADS * HEAD_DIM
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocab, HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "output.weight": (vocab, HIDDEN),
    }
    for block in range(BLOCKS):
        prefix = f"blk.{block}"
        shapes |= {
            f"{prefix}.attn_norm.weight": (HIDDEN,),
            f"{prefix}.attn_q.weight": (HIDDEN, HIDDEN),
            f"{prefix}.attn_k.weight": (keys, HIDDEN),
            f"{prefix}.attn_v.weight": (keys, HIDDEN),
            f"{prefix}.attn_output.weight": (HIDDEN, HIDDEN),
            f"{prefix}.ffn_norm.weight": (HIDDEN,),
            f"{prefix}.ffn_gate.weight": (FEED_FORWARD, HIDDEN),
            f"{prefix}.ffn_up.weight": (FEED_FORWARD, HIDDEN),
            f"{prefix}.ffn_down.weight": (HIDDEN, FEED_FORWARD),
        }
    return shapes


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
