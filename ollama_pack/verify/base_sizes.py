"""Compares the sizes in a base's header with those of the base in training, and with those that placed rows.

The header is read here by llama.cpp's own keys, and the layouts are those of the proof of numbers, so that
wrong sizes that a conversion was given are found.
"""

from collections.abc import Iterator, Mapping

from ollama_pack.arch.hparams import HParams
from ollama_pack.base.expected import ExpectedBase
from ollama_pack.base.model import Positions
from ollama_pack.verify.layouts import LAYOUTS

MismatchText = tuple[str, str, str]
"""The code of a mismatch, what the adapter was trained with, and what the base has."""

_HPARAM_KEYS = {
    "blocks": "{}.block_count",
    "hidden": "{}.embedding_length",
    "heads": "{}.attention.head_count",
    "kv_heads": "{}.attention.head_count_kv",
    "feed_forward": "{}.feed_forward_length",
}

_EXTRA_BLOCKS = "{}.nextn_predict_layers"
_COMPRESSED = ("{}.attention.kv_lora_rank", "{}.attention.q_lora_rank")
"""Keys of multi-head latent attention, for which a converter writes other sizes of heads than config.json."""

_ROPE = ("{}.rope.freq_base", "{}.rope.global.freq_base")
_EPSILON_KEYS = ("{}.attention.layer_norm_rms_epsilon", "{}.attention.layer_norm_epsilon")

_OTHER_HEADS = "{}.attention.key_length_swa"
"""A key of models whose layers differ in the size of a head; config.json may name another one first."""

NOT_FROM_CONFIG = {
    "chatglm": frozenset({"context", "norm-epsilon"}),
    **dict.fromkeys(
        ("falcon", "granitehybrid", "mamba", "mamba2", "nemotron_h", "nemotron_h_moe"), frozenset({"context"})
    ),
}
"""Architecture → the codes of numbers that its converter does not take from the usual keys of config.json."""

LOADERS_ROPE_BASE = 10000.0
"""The base frequency that llama.cpp takes if a header has none (``rope_freq_base_train``)."""

_STATE_KEYS = {
    "groups": "{}.ssm.group_count",
    "heads": "{}.ssm.time_step_rank",
    "state": "{}.ssm.state_size",
    "inner": "{}.ssm.inner_size",
}


def number_mismatches(
    trained: ExpectedBase, metadata: Mapping[str, object], arch: str
) -> Iterator[MismatchText]:
    """Yield the sizes in the header that differ from those of the base in training.

    Args:
        trained: what is known about the base in training.
        metadata: the header of the found base, as llama.cpp sees it.
        arch: its architecture.
    """
    sizes = header_sizes(metadata, arch)
    known = trained.hparams
    if known is None:
        if trained.blocks and trained.blocks < sizes.get("blocks", 0):
            yield "fewer-blocks", f"{trained.blocks} blocks, all of them adapted", str(sizes["blocks"])
        return
    yield from size_mismatches(known, sizes)


def header_sizes(metadata: Mapping[str, object], arch: str) -> dict[str, int]:
    """Return the sizes that a header has as one number for all layers, by the names of `HParams`."""
    sizes = {
        name: value
        for name, key in _HPARAM_KEYS.items()
        if type(value := metadata.get(key.format(arch))) is int and value > 0
    }
    if "blocks" in sizes and type(extra := metadata.get(_EXTRA_BLOCKS.format(arch))) is int:
        sizes["blocks"] -= extra
    if any(key.format(arch) in metadata for key in _COMPRESSED):
        sizes.pop("kv_heads", None)
    elif type(size := metadata.get(f"{arch}.attention.key_length")) is int and size > 0:
        if _OTHER_HEADS.format(arch) not in metadata:
            sizes["head_dim"] = size
    elif sizes.get("heads") and "hidden" in sizes:
        sizes["head_dim"] = sizes["hidden"] // sizes["heads"]
    return sizes


def size_mismatches(known: HParams, sizes: Mapping[str, int]) -> Iterator[MismatchText]:
    """Yield the sizes that differ from those of the base in training.

    Args:
        known: the sizes of the base in training; 0 for an unknown one.
        sizes: the known sizes of the found base, by the names of `HParams`.
    """
    differ = {name for name, value in sizes.items() if getattr(known, name) not in (0, value)}
    if known.experts:
        # Converters differ in whether this is the size of one expert or of all.
        differ.discard("feed_forward")
    if known.heads_per_layer:
        differ -= {"heads", "kv_heads", "head_dim"}
    if differ & {"heads", "hidden"}:
        differ.discard("head_dim")  # It follows from the other two, so it is not reported as well.
    for name in sizes:
        if name in differ:
            words = name.replace("_", " ").replace("kv", "KV").replace("head dim", "numbers per head")
            yield name.replace("_", "-"), f"{getattr(known, name)} {words}", str(sizes[name])


def position_mismatches(
    known: Positions, metadata: Mapping[str, object], arch: str, *, complete: bool
) -> Iterator[MismatchText]:
    """Yield the base frequency of rotary embeddings, the norms' epsilon and the context if they differ.

    Args:
        known: the numbers of the base in training.
        metadata: the header of the found base.
        arch: its architecture.
        complete: whether the loader takes its own default for a key that the header lacks.
    """
    rope = _first_number(metadata, _ROPE, arch) or (LOADERS_ROPE_BASE if complete else 0.0)
    if known.rope_base and rope and abs(rope / known.rope_base - 1) > 1e-4:
        yield "rope-base", f"a rope base of {known.rope_base:g}", f"{rope:g}"
    epsilon = _first_number(metadata, _EPSILON_KEYS, arch)
    exempt = NOT_FROM_CONFIG.get(arch, frozenset())
    if (
        known.norm_epsilon
        and epsilon
        and "norm-epsilon" not in exempt
        and abs(epsilon / known.norm_epsilon - 1) > 1e-3
    ):
        yield "norm-epsilon", f"a norm epsilon of {known.norm_epsilon:g}", f"{epsilon:g}"
    context = metadata.get(f"{arch}.context_length")
    if known.context and isinstance(context, int) and context != known.context and "context" not in exempt:
        yield "context", f"a context of {known.context} tokens", str(context)


def row_order_mismatches(
    placed: HParams, metadata: Mapping[str, object], arch: str
) -> Iterator[MismatchText]:
    """Yield a mismatch if the rows of the adapter were placed by other sizes than those of the found base.

    Only architectures whose weights llama.cpp holds in another order have rows that are placed.

    Args:
        placed: the sizes that the conversion used.
        metadata: the header of the found base, as llama.cpp sees it.
        arch: its architecture.
    """
    if arch != placed.arch or all(name != arch for name, _ in LAYOUTS):
        return
    sizes = header_sizes(metadata, arch)
    used, found = [], []
    for layer in range(max(placed.blocks, 1)):
        own = placed.at_layer(layer)
        of_header = {
            "heads": _of_layer(metadata.get(_HPARAM_KEYS["heads"].format(arch)), layer),
            "kv_heads": _of_layer(metadata.get(_HPARAM_KEYS["kv_heads"].format(arch)), layer),
            "head_dim": sizes.get("head_dim", 0),
        }
        if any(of_header[name] not in (0, getattr(own, name)) for name in of_header):
            where = f" in layer {layer}" if placed.heads_per_layer else ""
            used.append(_heads_text(own.heads, own.kv_heads, own.head_dim) + where)
            found.append(_heads_text(*of_header.values()) + where)
            break
    for name, key in _STATE_KEYS.items():
        value, own_size = metadata.get(key.format(arch)), getattr(placed.ssm, name)
        if type(value) is int and value and own_size not in (0, value):
            used.append(f"{own_size} as {key.format(arch)}")
            found.append(f"{value} as {key.format(arch)}")
    if used:
        yield "row-order", f"rows placed for {', '.join(used)}", ", ".join(found)


def _heads_text(heads: int, kv_heads: int, head_dim: int) -> str:
    """Return the numbers of heads in words; a size of 0 is unknown and left out."""
    kv = f" ({kv_heads} KV)" if kv_heads else ""
    return f"{heads or kv_heads} heads{kv}" + (f" of {head_dim}" if head_dim else "")


def _of_layer(value: object, layer: int) -> int:
    """Return the number of one layer, or 0 if the header lacks it or the layer has no attention."""
    if isinstance(value, list | tuple):
        value = value[layer] if layer < len(value) else 0
    return value if type(value) is int else 0


def _first_number(metadata: Mapping[str, object], keys: tuple[str, ...], arch: str) -> float:
    """Return the first of the keys that is a number above 0, or 0."""
    values = (metadata.get(key.format(arch)) for key in keys)
    return next((float(value) for value in values if isinstance(value, int | float) and value > 0), 0.0)
