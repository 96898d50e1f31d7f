"""The table of file roles: by the name of a file in a training run, what it is for.

The names are those that PEFT, transformers' Trainer, Accelerate, DeepSpeed, FSDP, TRL, Unsloth, Axolotl,
LLaMA-Factory, torchtune and mlx-lm write.
"""

import re
from dataclasses import dataclass, replace
from fnmatch import translate
from functools import cache

USED, COMPARED, LEFT_OUT = "used", "compared", "left out"


@dataclass(frozen=True, slots=True)
class Role:
    """The purpose of a file or a directory.

    Attributes:
        kind: ``adapter``, ``configuration``, ``tokenizer``, ``prompt``, ``card``, ``licence``,
            ``training state``, ``log``, ``build``, ``base``, ``data``, ``directory`` or ``unknown``.
        title: a few words that say what the file is.
        use: what a build does with the file: `USED`, `COMPARED` (with the base) or `LEFT_OUT`.
        words: one sentence that says what the file is for.
        pickle: whether the file is a pickle, which may run code when it is loaded.
    """

    kind: str
    title: str
    use: str
    words: str
    pickle: bool = False


ADAPTER = "adapter"
CONFIGURATION = Role(
    "configuration", "configuration", USED, "The settings of the adapter: method, rank, alpha, modules, base."
)
WEIGHTS_ROLE = Role(ADAPTER, "adapter weights", USED, "The trained weights.")
PICKLED = Role(
    ADAPTER,
    "adapter weights, a pickle: torch reads only its tensors",
    USED,
    "The trained weights in the format of older versions of PEFT.",
    pickle=True,
)
TOKENIZER = Role(
    "tokenizer",
    "tokenizer",
    COMPARED,
    "The tokenizer used in training. It is compared with the base's tokenizer, which the model uses.",
)
TOKENIZER_PART = Role(
    "tokenizer",
    "tokenizer",
    LEFT_OUT,
    "A part of the tokenizer, which tokenizer.json or tokenizer.model contains as well.",
)
PROCESSOR = Role(
    "tokenizer",
    "processor",
    LEFT_OUT,
    "Settings that turn images or audio into input. The base has its own.",
)
PROMPT = Role("prompt", "prompt format", LEFT_OUT, "The Jinja template that turns a conversation into text.")
TRAINED_PROMPT = replace(PROMPT, use=COMPARED)
CARD = Role("card", "model card", LEFT_OUT, "The description of the adapter for people.")
LICENCE = Role("licence", "licence", LEFT_OUT, "The terms under which the adapter may be used.")
STATE = Role(
    "training state", "training state, a pickle", LEFT_OUT,
    "Needed to resume training. A model does not need it.", pickle=True,
)  # fmt: skip
PLAIN_STATE = Role(
    "training state", "training state", LEFT_OUT, "Needed to resume training. A model does not need it."
)
ARGUMENTS = Role(
    "training state", "training arguments, a pickle", LEFT_OUT,
    "The arguments of the trainer, with paths and names of the machine that trained.", pickle=True,
)  # fmt: skip
LOG = Role("log", "training log", LEFT_OUT, "The steps, losses and learning rates of the training.")
RESULTS = Role("log", "results", LEFT_OUT, "The measurements of the training or of its evaluation.")
PICTURE = Role("log", "picture", LEFT_OUT, "A chart drawn by a trainer.")
DATA = Role("data", "data", LEFT_OUT, "Training examples, or answers of the model.")
BASE_WEIGHTS = Role(
    "base", "weights of a whole model", LEFT_OUT, "A whole model, not an adapter. The base comes from Ollama."
)
BASE_PICKLE = Role(
    "base", "weights of a whole model, a pickle", LEFT_OUT,
    "A whole model, not an adapter. The base comes from Ollama.", pickle=True,
)  # fmt: skip
BASE_CONFIG = Role(
    "base", "configuration of a whole model", LEFT_OUT, "The settings of the model that was trained."
)
CODE = Role("base", "code", LEFT_OUT, "A program published with a model. It is never run.")
SCRIPT = Role("training state", "code", LEFT_OUT, "A program written by a trainer. It is never run.")
BUILT = "build"
EMBEDDINGS_ROLE = Role(
    ADAPTER,
    "trained embeddings",
    LEFT_OUT,
    "Embeddings of new tokens. A LoRA cannot carry them, so a build stops with an error.",
)
VALUE_HEAD = Role(
    "training state", "value head", LEFT_OUT, "Rates answers during PPO training. A model does not need it."
)
REPOSITORY = Role("card", "settings of a repository", LEFT_OUT, "Settings or history of a git repository.")
ARCHIVE = Role("unknown", "archive", LEFT_OUT, "Several files in one. It is not opened.")
UNKNOWN = Role("unknown", "unknown", LEFT_OUT, "No known program writes a file of this name.")
LINK = Role("unknown", "link to a directory", LEFT_OUT, "A link to another directory. It is not followed.")
NO_FILE = Role(
    "unknown", "neither file nor directory", LEFT_OUT, "A pipe, a socket or a device. It is not opened."
)
DANGLING = Role("unknown", "broken link", LEFT_OUT, "A link to a file that does not exist.")
FILES: tuple[tuple[str, Role], ...] = (
    ("adapter_config.json", CONFIGURATION),
    ("adapter_model.safetensors", WEIGHTS_ROLE),
    ("adapters.safetensors", Role(ADAPTER, "adapter weights of mlx-lm", USED, WEIGHTS_ROLE.words)),
    (
        "adapter_model.safetensors.index.json",
        Role(ADAPTER, "index of the weights", USED, "It names the file that each tensor is in."),
    ),
    ("adapter_model-*.safetensors", Role(ADAPTER, "adapter weights, a part", USED, WEIGHTS_ROLE.words)),
    (
        "Modelfile.txt",
        Role("prompt", "Modelfile", USED, "Base, prompt and parameters of the model, in your words."),
    ),
    (
        "Modelfile",
        Role(
            "prompt",
            "Modelfile, read if there is no Modelfile.txt",
            USED,
            "Prompt and parameters of the model under Ollama's own name for such a file.",
        ),
    ),
    (
        "Modelfile.txt.old",
        Role(BUILT, "previous Modelfile", LEFT_OUT, "The Modelfile.txt that a build replaced."),
    ),
    (
        "adapter_model.gguf",
        Role(BUILT, "GGUF LoRA, made by a build", LEFT_OUT, "The adapter in the format that Ollama loads."),
    ),
    (
        "ollama-pack.lock",
        Role(BUILT, "lock of a build", LEFT_OUT, "The digests of all inputs of a model."),
    ),
    (
        "ollama-*.json",
        Role(
            BUILT,
            "manifest or configuration, made by a build",
            LEFT_OUT,
            "A file as Ollama's store holds it.",
        ),
    ),
    ("adapter_model.bin", PICKLED),
    (
        "adapter_model*.pt",
        Role(ADAPTER, "adapter weights of torchtune, a pickle", LEFT_OUT, WEIGHTS_ROLE.words, True),
    ),
    (
        "*_adapters.safetensors",
        Role(ADAPTER, "adapter weights of mlx-lm, of an earlier step", LEFT_OUT, WEIGHTS_ROLE.words),
    ),
    ("adapters.npz", Role(ADAPTER, "adapter weights of an old mlx-lm", LEFT_OUT, WEIGHTS_ROLE.words)),
    ("new_embeddings.safetensors", EMBEDDINGS_ROLE),
    ("chat_template.jinja", TRAINED_PROMPT),
    ("chat_template.json", PROMPT),
    ("tokenizer.json", TOKENIZER),
    ("tokenizer.model", TOKENIZER),
    ("tokenizer_config.json", TOKENIZER),
    ("special_tokens_map.json", TOKENIZER),
    ("added_tokens.json", TOKENIZER),
    ("tokenizer*", TOKENIZER_PART),
    ("tokenization_*.py", CODE),
    ("vocab.json", TOKENIZER),
    ("vocab.*", TOKENIZER_PART),
    ("merges.txt", TOKENIZER_PART),
    ("spiece.model", TOKENIZER_PART),
    ("sentencepiece.bpe.model", TOKENIZER_PART),
    ("tekken.json", TOKENIZER_PART),
    ("*.tiktoken", TOKENIZER_PART),
    ("*processor_config.json", PROCESSOR),
    ("USE_POLICY*", LICENCE),
    ("LICEN[CS]E*", LICENCE),
    ("NOTICE*", LICENCE),
    ("*.md", CARD),
    (".git*", REPOSITORY),
    ("trainer_state.json", LOG),
    ("trainer_log.jsonl", LOG),
    ("running_log.txt", LOG),
    ("log_history.json", LOG),
    ("events.out.tfevents.*", LOG),
    ("*.log", LOG),
    ("nohup.out", LOG),
    ("*_results.json", RESULTS),
    ("*metrics*.json*", RESULTS),
    ("*.png", PICTURE),
    ("*.svg", PICTURE),
    ("generated_predictions.jsonl", DATA),
    ("dataset_info.json", DATA),
    ("dataset_dict.json", DATA),
    ("*.arrow", DATA),
    ("*.parquet", DATA),
    ("*.jsonl", DATA),
    ("*.csv", DATA),
    ("optimizer.safetensors", PLAIN_STATE),
    ("optimizer*", STATE),
    ("scheduler*", STATE),
    ("scaler*", STATE),
    ("sampler*.bin", STATE),
    ("dl_state_dict*.bin", STATE),
    ("rng_state*.pth", STATE),
    ("random_states_*.pkl", STATE),
    ("custom_checkpoint_*.pkl", STATE),
    ("*_optim_states.pt", STATE),
    ("*_model_states.pt", STATE),
    ("recipe_state.pt", STATE),
    ("*.distcp", STATE),
    (".metadata", STATE),
    ("training_args.bin", ARGUMENTS),
    ("latest", PLAIN_STATE),
    ("latest_checkpointed_iteration.txt", PLAIN_STATE),
    ("zero_to_fp32.py", SCRIPT),
    ("tokens_state.json", PLAIN_STATE),
    ("training_args.yaml", PLAIN_STATE),
    ("llamaboard_config.yaml", PLAIN_STATE),
    ("torchtune_config.yaml", PLAIN_STATE),
    ("*config*.y*ml", PLAIN_STATE),
    ("value_head.safetensors", VALUE_HEAD),
    ("value_head.bin", Role(VALUE_HEAD.kind, "value head, a pickle", LEFT_OUT, VALUE_HEAD.words, True)),
    ("config.json", BASE_CONFIG),
    ("params.json", BASE_CONFIG),
    ("generation_config.json", BASE_CONFIG),
    ("*.safetensors.index.json", BASE_CONFIG),
    ("*.bin.index.json", BASE_CONFIG),
    ("configuration_*.py", CODE),
    ("modeling_*.py", CODE),
    ("*.safetensors", BASE_WEIGHTS),
    ("*.gguf", BASE_WEIGHTS),
    ("pytorch_model*.bin", BASE_PICKLE),
    ("consolidated*.pth", BASE_PICKLE),
    ("*.pt", STATE),
    ("*.pth", STATE),
    ("*.pkl", STATE),
    ("*.ckpt", STATE),
    ("*.zip", ARCHIVE),
    ("*.tar*", ARCHIVE),
    ("*.py", SCRIPT),
    ("*.ipynb", SCRIPT),
)
"""Pattern of a file's name → role. The first pattern that matches counts."""

PLAIN_DIRECTORY_ROLE = Role(
    "directory", "directory", LEFT_OUT, "A build reads the files at the top, or those of a checkpoint."
)
CHECKPOINT_ROLE = Role(
    "checkpoint", "checkpoint", LEFT_OUT, "The adapter after some training steps. --checkpoint selects it."
)
DIRECTORIES: tuple[tuple[str, Role], ...] = (
    ("checkpoint-[0-9]*", CHECKPOINT_ROLE),
    (
        "ollama",
        Role("directory", "files of a build", LEFT_OUT, "GGUF file, Modelfile and lock of a build."),
    ),
    ("runs", Role("directory", "TensorBoard's logs", LEFT_OUT, LOG.words)),
    (
        "wandb",
        Role("directory", "logs of Weights & Biases", LEFT_OUT, "Logs, with names of machine, user and run."),
    ),
    ("mlruns", Role("directory", "logs of MLflow", LEFT_OUT, LOG.words)),
    ("logs", Role("directory", "logs", LEFT_OUT, LOG.words)),
    ("completions", Role("directory", "answers logged by TRL", LEFT_OUT, DATA.words)),
    ("global_step*", Role("directory", "training state of DeepSpeed", LEFT_OUT, STATE.words)),
    ("pytorch_model_fsdp_*", Role("directory", "training state of FSDP", LEFT_OUT, STATE.words)),
    ("optimizer_*", Role("directory", "training state of FSDP", LEFT_OUT, STATE.words)),
    ("additional_chat_templates", Role("directory", "prompt formats", LEFT_OUT, PROMPT.words)),
    (".git", Role("directory", "history of a repository", LEFT_OUT, REPOSITORY.words)),
    (
        ".cache",
        Role("directory", "cache of a download", LEFT_OUT, "Metadata of downloads with huggingface_hub."),
    ),
    ("__pycache__", Role("directory", "cache of Python", LEFT_OUT, CODE.words)),
)
"""Pattern of a directory's name → role. The first pattern that matches counts."""


@cache
def _patterns(directory: bool) -> tuple[tuple[re.Pattern[str], Role], ...]:
    """Return the compiled table for directories or for files."""
    rows = DIRECTORIES if directory else FILES
    return tuple((re.compile(translate(pattern), re.DOTALL), role) for pattern, role in rows)


def role_of(name: str, *, directory: bool = False) -> Role:
    """Return the role of a file or a directory by its name. Upper and lower case are distinguished."""
    default = PLAIN_DIRECTORY_ROLE if directory else UNKNOWN
    return next((role for pattern, role in _patterns(directory) if pattern.match(name)), default)
