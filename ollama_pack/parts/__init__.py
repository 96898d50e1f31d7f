"""The nouns: frozen values that travel between the stages.

Nothing here reads, writes or decides. Shapes are given as numpy gives them (rows first), so a
weight ``W`` is ``out × in``, a LoRA ``A`` is ``rank × in`` and a LoRA ``B`` is ``out × rank``. Weights of
experts have a third dimension in front, one matrix an expert.
"""

from ollama_pack.parts.adapter import (
    Adapter,
    LoraFile,
    LoraPair,
    LoraPlan,
    LoraTensor,
    MadeTensor,
    StoredTensor,
    Tensor,
)
from ollama_pack.parts.base import Base, StateSpace
from ollama_pack.parts.delivery import Layer, Note, Progress, Receipt, Report

__all__ = [
    "Adapter",
    "Base",
    "Layer",
    "LoraFile",
    "LoraPair",
    "LoraPlan",
    "LoraTensor",
    "MadeTensor",
    "Note",
    "Progress",
    "Receipt",
    "Report",
    "StateSpace",
    "StoredTensor",
    "Tensor",
]
