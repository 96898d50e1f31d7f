"""IBM's Granite: as Llama, with factors of its own that no weight sees."""

from ollama_pack.archs.layouts import LAYER, gated_decoder, granite_shared
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch

HYBRID = "GraniteMoeHybridForCausalLM"
"""The class of all Granite 4; one whose layers all are attention is a Granite, or a mixture, to llama.cpp."""

GRANITE = Arch(
    name="granite",
    classes=("GraniteForCausalLM", HYBRID),
    weights=(*gated_decoder(rope_q, rope_k), *granite_shared(f"{LAYER}.shared_mlp", "")),
)
