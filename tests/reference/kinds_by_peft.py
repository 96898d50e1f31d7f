"""Adapters that only PEFT itself merges, with the weights that its ``merge_and_unload`` makes.

Beside the logits, `MERGED` of the model's folder has a file a case: every weight that merging changed, under
its name in the model. `WHOLE` there has all weights before.
"""

from functools import partial
from pathlib import Path

import numpy as np
import peft
from kinds_adapters import Arrays, Case, adapted, loaded
from kinds_methods import lokr, tinylora, vera
from kinds_models import Base, Model

MERGED, WHOLE = "merged", "base.npz"
TARGETS = ["down_proj", "q_proj", "v_proj"]
TASK = {"task_type": "CAUSAL_LM"}


def merged_too(case: Case) -> Case:
    """Return a case that also records what PEFT's merge makes of the whole model."""

    def make(base: Base, folder: Path) -> Arrays:
        found = case(base, folder)
        before = arrays_of(base.build())
        after = arrays_of(loaded(base, folder).merge_and_unload())
        room = folder.parent / MERGED
        room.mkdir(exist_ok=True)
        np.savez_compressed(room / WHOLE, **before)
        changed = {name: after[name] for name in before if not np.array_equal(before[name], after[name])}
        np.savez_compressed(room / f"{folder.name}.npz", **changed)
        return found

    return make


def arrays_of(model: Model) -> Arrays:
    """Return the weights of a model."""
    return {name: weight.detach().numpy().copy() for name, weight in model.state_dict().items()}


def by_peft(make: type[peft.PeftConfig], **settings: object) -> Case:
    """Return a case of a method that PEFT merges."""
    return merged_too(adapted(partial(make, **TASK, **{"target_modules": TARGETS, **settings})))


IA3 = {"target_modules": ["down_proj", "k_proj", "v_proj"], "feedforward_modules": ["down_proj"]}
BY_PEFT: dict[str, Case] = {
    "ia3": by_peft(peft.IA3Config, **IA3),
    "oft": by_peft(peft.OFTConfig, oft_block_size=4),
    "boft": by_peft(peft.BOFTConfig, boft_block_size=4),
    "hra": by_peft(peft.HRAConfig, r=4),
    "hira": by_peft(peft.HiraConfig, r=3),
    "hira-embedding": by_peft(peft.HiraConfig, r=3, target_modules=["embed_tokens", "q_proj"]),
    "miss-bat": by_peft(peft.MissConfig, target_modules=["q_proj", "v_proj"], r=4, init_weights="bat"),
    "oft-norms": by_peft(peft.OFTConfig, oft_block_size=4, modules_to_save=["input_layernorm"]),
    "c3a": by_peft(peft.C3AConfig, block_size=4),
    "shira": by_peft(peft.ShiraConfig, r=3),
    "waveft": by_peft(peft.WaveFTConfig, n_frequency=50),
    "osf": by_peft(peft.OSFConfig),
    "randlora": by_peft(peft.RandLoraConfig, r=4),
    "randlora-no-projection": by_peft(peft.RandLoraConfig, r=4, save_projection=False),
    "lokr-full": merged_too(lokr(r=32, alpha=48, decompose_factor=4)),
    "fourierft-full": by_peft(peft.FourierFTConfig, n_frequency=12, scaling=20.0),
    "psoft": by_peft(peft.PsoftConfig, r=4),
    "pvera": by_peft(peft.PveraConfig, r=4),
    "peanut": by_peft(peft.PeanutConfig, r=4),
    "supertuning": by_peft(peft.SupertuningConfig),
    "deft": by_peft(peft.DeftConfig, r=4),
    "vera-no-projection": merged_too(vera(save_projection=False)),
    "tinylora-no-projection": merged_too(tinylora(save_projection=False)),
}
BY_PEFT_QWEN2: dict[str, Case] = {
    "ia3-biases": by_peft(peft.IA3Config, **IA3),
    "road": by_peft(peft.RoadConfig, group_size=4),
    "glora": by_peft(peft.GloraConfig, r=3),
    "beft": by_peft(peft.BeftConfig, target_modules=["q_proj", "v_proj"]),
}
BY_PEFT_GPT2: dict[str, Case] = {
    "ia3-conv1d": by_peft(
        peft.IA3Config,
        target_modules=["c_attn", "mlp.c_proj"],
        feedforward_modules=["mlp.c_proj"],
        fan_in_fan_out=True,
    ),
}
BY_PEFT_PHI: dict[str, Case] = {
    "oft-joined": by_peft(peft.OFTConfig, target_modules=["qkv_proj", "gate_up_proj"], oft_block_size=4),
}
