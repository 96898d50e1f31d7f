"""The table of roles: what the files of a training run are called, and what each is for.

Names are those that PEFT, the Trainer of transformers, Accelerate, DeepSpeed, FSDP, TRL, Unsloth, Axolotl,
LLaMA-Factory, torchtune and mlx-lm write.
"""

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cache

USED, COMPARED, LEFT_OUT = "used", "compared", "left out"


@dataclass(frozen=True, slots=True)
class Role:
    """What a file, or a directory, is for.

    Attributes:
        kind: ``adapter``, ``configuration``, ``tokenizer``, ``prompt``, ``card``, ``licence``,
            ``training state``, ``log``, ``build``, ``base``, ``data``, ``directory`` or ``unknown``.
        title: the same for people, in a few words.
        use: what a build does with it: it is used, compared with the base, or left out.
        words: what it is for, one sentence.
        pickle: whether it is one, and may hold code.
    """

    kind: str
    title: str
    use: str
    words: str
    pickle: bool = False


ADAPTER = "adapter"
CONFIGURATION = Role(
    "configuration", "configuration", USED, "How the adapter was made: method, rank, alpha, modules, base."
)
WEIGHTS_ROLE = Role(ADAPTER, "adapter weights", USED, "The numbers that were trained.")
PICKLED = Role(
    ADAPTER,
    "adapter weights, a pickle: torch reads its tensors, and nothing else",
    USED,
    "The numbers that were trained, as older versions of PEFT saved them.",
    pickle=True,
)
TOKENIZER = Role(
    "tokenizer",
    "tokenizer",
    COMPARED,
    "Which tokens were trained with; the base has its own, which must agree.",
)
TOKENIZER_PART = Role(
    "tokenizer",
    "tokenizer",
    LEFT_OUT,
    "A part of the tokenizer that tokenizer.json or tokenizer.model has too.",
)
PROCESSOR = Role(
    "tokenizer", "processor", LEFT_OUT, "How pictures or sound become input; the base has its own."
)
PROMPT = Role("prompt", "prompt format", LEFT_OUT, "How a conversation becomes text, in Jinja.")
CARD = Role("card", "model card", LEFT_OUT, "What people should know about the adapter.")
LICENCE = Role("licence", "licence", LEFT_OUT, "The terms under which it may be used.")
STATE = Role(
    "training state", "training state, a pickle", LEFT_OUT,
    "Training goes on from it; a model does not need it.", pickle=True,
)  # fmt: skip
PLAIN_STATE = Role(
    "training state", "training state", LEFT_OUT, "Training goes on from it; a model does not need it."
)
ARGUMENTS = Role(
    "training state", "training arguments, a pickle", LEFT_OUT,
    "How the trainer was called; paths and names of a machine among it.", pickle=True,
)  # fmt: skip
LOG = Role("log", "training log", LEFT_OUT, "Steps, losses and learning rates of the training.")
RESULTS = Role("log", "results", LEFT_OUT, "What the training or its evaluation measured.")
PICTURE = Role("log", "picture", LEFT_OUT, "A chart that a trainer drew.")
DATA = Role("data", "data", LEFT_OUT, "Examples, or what the model answered to them.")
BASE_WEIGHTS = Role(
    "base", "weights of a whole model", LEFT_OUT, "A whole model, not an adapter; the base comes from Ollama."
)
BASE_PICKLE = Role(
    "base", "weights of a whole model, a pickle", LEFT_OUT,
    "A whole model, not an adapter; the base comes from Ollama.", pickle=True,
)  # fmt: skip
BASE_CONFIG = Role(
    "base", "configuration of a whole model", LEFT_OUT, "The numbers of the base, as it is trained."
)
CODE = Role("base", "code", LEFT_OUT, "A program that came with a model; it is never run.")
SCRIPT = Role("training state", "code", LEFT_OUT, "A program that a trainer left; it is never run.")
BUILT = "build"
EMBEDDINGS_ROLE = Role(
    ADAPTER,
    "trained embeddings",
    LEFT_OUT,
    "Rows of new tokens; a LoRA cannot carry them, and a build says so.",
)
VALUE_HEAD = Role(
    "training state", "value head", LEFT_OUT, "Judges answers while PPO trains; it writes none."
)
REPOSITORY = Role("card", "settings of a repository", LEFT_OUT, "How git keeps the files of a repository.")
ARCHIVE = Role("unknown", "archive", LEFT_OUT, "Files in one file; it is not opened.")
UNKNOWN = Role("unknown", "unknown", LEFT_OUT, "Nothing that is known writes a file of this name.")
LINK = Role("unknown", "link to a directory", LEFT_OUT, "It leads elsewhere, and is not followed.")
NO_FILE = Role(
    "unknown", "neither file nor directory", LEFT_OUT, "A pipe, a socket or a device; it is not opened."
)
DANGLING = Role("unknown", "link to nowhere", LEFT_OUT, "What it names is not there.")
FILES: tuple[tuple[str, Role], ...] = (
    ("adapter_config.json", CONFIGURATION),
    ("adapter_model.safetensors", WEIGHTS_ROLE),
    ("adapters.safetensors", Role(ADAPTER, "adapter weights of mlx-lm", USED, WEIGHTS_ROLE.words)),
    (
        "adapter_model.safetensors.index.json",
        Role(ADAPTER, "list of the files the weights are in", USED, "Which tensor lies in which file."),
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
            "Modelfile under another name: only Modelfile.txt is read",
            LEFT_OUT,
            "Ollama's recipe of a model, as some trainers write it.",
        ),
    ),
    (
        "Modelfile.txt.old",
        Role(BUILT, "Modelfile of before a build", LEFT_OUT, "What a build found and replaced."),
    ),
    (
        "adapter_model.gguf",
        Role(BUILT, "GGUF LoRA, made by a build", LEFT_OUT, "The adapter as Ollama loads it."),
    ),
    (
        "ollama-pack.lock",
        Role(BUILT, "record of a build: what it was made of", LEFT_OUT, "Digests of what went into a model."),
    ),
    (
        "ollama-*.json",
        Role(
            BUILT, "manifest and configuration, made by a build", LEFT_OUT, "What Ollama's store would hold."
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
    ("chat_template.jinja", PROMPT),
    ("chat_template.json", PROMPT),
    ("tokenizer.json", TOKENIZER),
    ("tokenizer.model", TOKENIZER),
    ("tokenizer_config.json", TOKENIZER),
    ("special_tokens_map.json", TOKENIZER),
    ("added_tokens.json", TOKENIZER),
    ("tokenizer*", TOKENIZER_PART),
    ("tokenization_*.py", CODE),
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
"""Name pattern → role. The first that matches counts."""

PLAIN_FILE_ROLE = Role(
    "directory", "directory", LEFT_OUT, "Only what lies at the top, or in a checkpoint, is an adapter."
)
CHECKPOINT_ROLE = Role(
    "checkpoint", "checkpoint", LEFT_OUT, "The adapter as it was after some steps; --checkpoint takes it."
)
DIRECTORIES: tuple[tuple[str, Role], ...] = (
    ("checkpoint-[0-9]*", CHECKPOINT_ROLE),
    ("runs", Role("directory", "TensorBoard's logs", LEFT_OUT, LOG.words)),
    (
        "wandb",
        Role("directory", "logs of Weights & Biases", LEFT_OUT, "Logs; machine, user and run among them."),
    ),
    ("mlruns", Role("directory", "logs of MLflow", LEFT_OUT, LOG.words)),
    ("logs", Role("directory", "logs", LEFT_OUT, LOG.words)),
    ("completions", Role("directory", "answers while TRL trained", LEFT_OUT, DATA.words)),
    ("global_step*", Role("directory", "training state of DeepSpeed", LEFT_OUT, STATE.words)),
    ("pytorch_model_fsdp_*", Role("directory", "training state of FSDP", LEFT_OUT, STATE.words)),
    ("optimizer_*", Role("directory", "training state of FSDP", LEFT_OUT, STATE.words)),
    ("additional_chat_templates", Role("directory", "prompt formats", LEFT_OUT, PROMPT.words)),
    (".git", Role("directory", "history of a repository", LEFT_OUT, REPOSITORY.words)),
    (
        ".cache",
        Role("directory", "what a download left", LEFT_OUT, "Notes of huggingface_hub on its downloads."),
    ),
    ("__pycache__", Role("directory", "what Python left", LEFT_OUT, CODE.words)),
)
"""Name pattern of a directory → role."""


@cache
def _patterns(directory: bool) -> tuple[tuple[re.Pattern[str], Role], ...]:
    rows = DIRECTORIES if directory else FILES
    return tuple((re.compile(translate(pattern), re.DOTALL), role) for pattern, role in rows)


def role_of(name: str, *, directory: bool = False) -> Role:
    """Return the role of a file, or of a directory, by its name; case counts."""
    rest = PLAIN_FILE_ROLE if directory else UNKNOWN
    return next((role for pattern, role in _patterns(directory) if pattern.match(name)), rest)
