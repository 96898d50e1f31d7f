"""Tell an adapter of a model that generates text from one of a classifier, an encoder, or a model like T5."""

from collections.abc import Collection, Mapping
from typing import Any

OTHER_TASKS = frozenset({"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "SEQ_2_SEQ_LM"})
"""Values of PEFT's ``task_type`` for models with another head, or with an encoder beside the decoder."""

OTHER_MODULES = (
    *(
        "SelfAttention",
        "EncDecAttention",
        "DenseReluDense",
        "encoder_attn",
        "crossattention",
        "encoder.layer",
    ),
    *("score", "classifier", "classification_head", "qa_outputs"),
)
"""Modules of T5, of encoders such as BERT, and of decoders that read an encoder's output. The heads of
classifiers are trained whole, so they show the task if the configuration does not name it."""


def another_task(config: Mapping[str, Any], tensors: Collection[str]) -> list[str]:
    """Return what shows that an adapter belongs to no language model, or nothing if it may belong to one."""
    task = str(config.get("task_type") or "").upper().removeprefix("TASKTYPE.")
    found = [f"task_type = {task}"] if task in OTHER_TASKS else []
    # All names are searched at once: there are tens of thousands, and hardly ever one of these.
    text = "".join(f".{name}\n" for name in tensors)
    marks = [f".{module}." for module in OTHER_MODULES if f".{module}." in text]
    return found + [name for name in tensors if marks and any(mark in f".{name}" for mark in marks)]
