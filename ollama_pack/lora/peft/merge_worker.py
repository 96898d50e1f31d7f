"""Lets PEFT merge one weight at a time, in a process of its own; it imports nothing of this package.

Standard input is a line of JSON for each question, standard output a line for each answer; weights lie in
files of float32. The first question names the files of the adapter and its modules. No model is built: a
module is a layer with the weight of the base, and PEFT puts the adapter on it. Where weights share tensors
(VeRA, RandLoRA), every module of the adapter is there, and those that are not asked about have no memory.
"""

import copy
import json
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import peft
import torch
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.utils import set_peft_model_state_dict
from safetensors.torch import load_file
from transformers.pytorch_utils import Conv1D

CHOOSING = ("modules_to_save", "layers_to_transform", "layers_pattern", "exclude_modules", "task_type")
"""Settings that choose the adapted modules; here the first question lists them instead."""

SHARING = ("RANDLORA",)
"""Methods whose weights share tensors although ``uses_shared_state`` of PEFT's tuner is false."""

UNIT_ROWS = 1024
"""Rows of the unit matrix that a layer is given at a time."""

WHAT_PEFT_RAISES = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, re.error),
)
"""Errors by which PEFT says that it cannot merge something."""

Module = Mapping[str, Any]
"""The module of a weight: ``name``, ``kind``, ``shape`` (out and in, as PEFT has it), ``bias``."""

Given = tuple[torch.Tensor, torch.Tensor | None]
"""A weight and a bias of the base."""


class Layers:
    """An adapter, and the layers that PEFT puts it on.

    Args:
        config: the directory of the configuration.
        weights: the file of the weights.
        modules: the modules, in the order of the model.
    """

    def __init__(self, config: str, weights: str, modules: Sequence[Module]) -> None:
        self._config = peft.PeftConfig.from_pretrained(config)
        self._tensors = load_file(weights)
        self._modules = {str(module["name"]): module for module in modules}
        tuner = PEFT_TYPE_TO_TUNER_MAPPING[self._config.peft_type]
        self._prefix = tuner.prefix.removesuffix("lambda_")
        shared = tuner.uses_shared_state or self._config.peft_type in SHARING
        self._whole = self._adapted(list(self._modules), {}) if shared else None

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bias that is asked for; the weight is written into the file that the question names."""
        name = question["module"]
        shape = self._modules[name]["shape"]
        weight = torch.from_numpy(np.fromfile(question["weight"], "<f4").reshape(shape))
        bias = None if question["bias"] is None else torch.tensor(question["bias"], dtype=torch.float32)
        layer = self._layer(name, (weight, bias))
        own = layer.get_base_layer()
        with torch.no_grad():
            if question["ask"] == "merge":
                layer.merge()
                made, bias = own.weight.data, getattr(own, "bias", None)
            else:
                made, bias = applied(layer, own)
        made.contiguous().numpy().tofile(question["into"])
        own.weight.data = without_memory(shape)
        layer.merged_adapters.clear()
        return {"bias": None if bias is None else bias.tolist()}

    def _layer(self, name: str, given: Given) -> Any:  # noqa: ANN401 — PEFT's layers have no common type
        """Return the layer that PEFT makes of a module with this weight and this bias."""
        model = self._whole or self._adapted([name], {name: given})
        layer = model.base_model.model.get_submodule(name)
        base = layer.get_base_layer()
        base.weight.data = given[0]
        if given[1] is not None:
            base.bias.data = given[1]
        return layer

    def _adapted(self, names: Sequence[str], given: Mapping[str, Given]) -> peft.PeftModel:
        """Return some modules with the adapter on them, and nothing else of a model.

        Raises:
            ValueError: a tensor of the adapter has no place in them, or one is missing.
        """
        root = torch.nn.Module()
        for name in names:
            put(root, name, bare_layer(self._modules[name], *given.get(name, (None, None))))
        model = peft.PeftModel(root, self._config_for(names)).eval()
        alone = len(names) < len(self._modules)
        mine = {
            key: tensor
            for key, tensor in self._tensors.items()
            if self._prefix in key and (not alone or f".{names[0]}." in f".{key}")
        }
        found = set_peft_model_state_dict(model, mine)
        state = model.state_dict()
        filled = {state[key].data_ptr() for key in state.keys() - set(found.missing_keys)}
        trained = dict(model.named_parameters(remove_duplicate=False))
        lost = [
            key
            for key in found.missing_keys
            if self._prefix in key and key in trained and trained[key].data_ptr() not in filled
        ]
        if lost or found.unexpected_keys:
            raise ValueError(f"{[*lost, *found.unexpected_keys][0]} is not in both the adapter and the model")
        return model

    def _config_for(self, names: Sequence[str]) -> peft.PeftConfig:
        """Return the configuration for some modules, which are all that are adapted."""
        config = copy.deepcopy(self._config)
        for setting in CHOOSING:
            if hasattr(config, setting):
                setattr(config, setting, None)
        if hasattr(config, "feedforward_modules"):
            config.feedforward_modules = [name for name in names if chosen(name, config.feedforward_modules)]
        config.target_modules, config.inference_mode = list(names), True
        return config


def chosen(name: str, setting: Any) -> bool:  # noqa: ANN401 — a list of names, or a pattern
    """Return whether a setting of PEFT means a module."""
    if isinstance(setting, str):
        return re.fullmatch(setting, name) is not None
    return any(name == each or name.endswith(f".{each}") for each in setting or ())


def applied(layer: Any, base: torch.nn.Module) -> Given:  # noqa: ANN401 — PEFT's layers
    """Return weight and bias of a layer as its answers show them, without merging it."""
    if isinstance(base, torch.nn.Embedding):
        return torch.cat([layer(ids) for ids in torch.arange(len(base.weight)).split(UNIT_ROWS)]), None
    turned = isinstance(base, Conv1D)
    width = base.weight.shape[0 if turned else 1]
    bias = layer(torch.zeros(1, width))[0]
    made = torch.empty_like(base.weight)
    for start in range(0, width, UNIT_ROWS):
        unit = torch.zeros(min(UNIT_ROWS, width - start), width)
        unit[:, start : start + len(unit)].fill_diagonal_(1.0)
        rows = layer(unit) - bias
        if turned:
            made[start : start + len(unit)] = rows
        else:
            made[:, start : start + len(unit)] = rows.T
    return made, bias if base.bias is not None else None


def without_memory(shape: Sequence[int]) -> torch.Tensor:
    """Return zeros that take the memory of one number."""
    return torch.zeros(1).expand(*shape)


def bare_layer(
    module: Module, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None
) -> torch.nn.Module:
    """Return a layer of the base, with its weight or without memory."""
    shape = module["shape"]
    made: torch.nn.Module
    if module["kind"] == "embedding":
        made = torch.nn.Embedding(*shape, device="meta")
    elif module["kind"] == "conv1d":
        made = Conv1D(shape[1], 1)
        made.nx = shape[0]
    else:
        made = torch.nn.Linear(shape[1], shape[0], bias=module["bias"], device="meta")
    made.weight = torch.nn.Parameter(without_memory(shape) if weight is None else weight, requires_grad=False)
    if module["bias"]:
        count = shape[1 if module["kind"] == "conv1d" else 0]
        made.bias = torch.nn.Parameter(torch.zeros(count) if bias is None else bias, requires_grad=False)
    return made


def put(root: torch.nn.Module, name: str, layer: torch.nn.Module) -> None:
    """Put a layer where its name says."""
    *parents, last = name.split(".")
    for parent in parents:
        if not hasattr(root, parent):
            root.add_module(parent, torch.nn.Module())
        root = getattr(root, parent)
    root.add_module(last, layer)


def answer_questions(output: TextIO) -> None:
    """Answer each line of standard input with one line of `output`, which PEFT's own prints do not reach."""
    warnings.simplefilter("ignore")
    layers: Layers | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if layers is None:
                layers = Layers(asked["config"], asked["weights"], asked["modules"])
                answer = {"peft": peft.__version__}
            else:
                answer = layers.answer(asked)
        except WHAT_PEFT_RAISES as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        output.write(json.dumps(answer) + "\n")
        output.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answer_questions(answers)
