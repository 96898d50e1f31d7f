"""IBM's Granite: as Llama, with factors of its own that no weight sees."""

from ollama_pack.archs.layouts import gated_decoder
from ollama_pack.archs.orders import rope_k, rope_q
from ollama_pack.archs.row import Arch

GRANITE = Arch(name="granite", classes=("GraniteForCausalLM",), weights=gated_decoder(rope_q, rope_k))
