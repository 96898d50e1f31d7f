"""The hints of the rules in `unsupported.py`: each is a command, a call or a setting that works.

Every hint is followed by the letter in tests/cli/test_rule_hints.py, or measured with PEFT by
tests/reference/record_kinds.py, and tests/reference/follow_hints.py for those that need torch.
"""

MERGE_HINT = "merge the adapter with PEFT's merge_and_unload, and convert the merged model to GGUF"
"""How PEFT merges an adapter into its base; an adapter of another trainer has another hint in its place."""

BY_MERGE = "--merge  writes one model file of the base and the adapter, which holds this too"
BY_PEFT = (
    "--merge  writes one model file of the base and the adapter; PEFT computes it, so first: "
    "pip install 'ollama-pack[peft]'"
)
BY_PEFT_OR_NEAREST = (
    f'{BY_PEFT}; or build the nearest LoRA: peft.save_as_lora("DIR", model, rank=N) writes it'
)
TRAIN_LORA = "train LoRA instead"
LINEAR_ONLY_HINT = "train LoRA only on linear modules of the language model"
TOWER_HINT = (
    'train again with LoraConfig(exclude_modules=r".*(vision|visual|image|img|audio|speech|multi_?modal|mm_'
    '|connector|resampler|aligner|vpm|apm).*", …), so that only the language model is adapted'
)
BASE_FILES_HINT = "--base FILE.gguf, or --base with the directory of its config.json"
COPY_AGAIN = "copy the directory again from the machine it was trained on, or build one of its checkpoints"
INTO_THE_CHANGED = (
    "merge it into the changed base with merge_and_unload, and convert the merged model to GGUF"
)
LESS_START = (
    "if the adapter was also saved before training, in the directory START: ollama-pack build DIR START "
    f"--weight 1 --weight -1  builds the difference; otherwise {INTO_THE_CHANGED}"
)
UNTIE = (
    f"{BY_MERGE}; where llama.cpp gives a family no head of its own, give the head weights of its own "
    "before the adapter is loaded: model.lm_head.weight = "
    "torch.nn.Parameter(model.lm_head.weight.detach().clone()); model.config.tie_word_embeddings = False; "
    "then merge it with PEFT's merge_and_unload, and convert the merged model to GGUF (without the first "
    "step PEFT would add the change to both)"
)
NO_LORA_BIAS = (
    f"{BY_MERGE}, if every adapted module of the base has a bias itself; otherwise train again with "
    "lora_bias=False"
)
OWN_LAYERS = (
    "give each copy of a layer weights of its own: for index, layer in "
    "enumerate(model.base_model.model.model.layers): model.base_model.model.model.layers[index] = "
    "copy.deepcopy(layer); then merge it with PEFT's merge_and_unload, and convert the "
    "merged model to GGUF (without the first step PEFT would add every change to what the copies share)"
)
REPLICATED = f"{BY_MERGE}, if the architecture is llama; otherwise {OWN_LAYERS}"
AS_LORA = (
    'load base and adapter with PEFT, write the LoRA with peft.save_as_lora("DIR", model, rank=R), where R '
    "is r of adapter_config.json, and build DIR"
)
BY_PEFT_OR_LORA = f"{BY_PEFT}; or {AS_LORA}"
REMOVE_SETTING = (
    "update ollama-pack: a newer version may know these settings; if a setting is a note and not an "
    "option of the training, remove it from adapter_config.json"
)
OTHER_TASK = "run it with transformers and PEFT; for Ollama, train a model that generates text (CAUSAL_LM)"
GATHER = (
    'set "stage3_gather_16bit_weights_on_model_save": true in the DeepSpeed configuration, and save again; '
    "a checkpoint of that training still has the weights, and the script zero_to_fp32.py in it gathers them"
)
