"""Run llama.cpp on a base and its adapters: a process of its own, because llama.cpp may abort.

Called as ``python ask_logits.py JOB.json``. The job names a base, the token ids, the adapters (a null
is the bare base) and the npz file the answers go to: one tokens × vocabulary float32 array an
adapter, named by its place in the list. An adapter that llama.cpp refuses has no array. Models under
``merged`` are asked bare; their places follow those of the adapters. Nothing here imports ollama_pack:
the judge shares no code with the judged.
"""

import ctypes
import json
import sys
from pathlib import Path

import llama_cpp
import numpy as np


def main() -> None:
    """Answer one job."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    llama_cpp.llama_backend_init()
    model = load(job["base"])
    answers = {}
    for place, path in enumerate(job["adapters"]):
        adapter = None
        if path is not None:
            adapter = llama_cpp.llama_adapter_lora_init(model, path.encode())
            if not adapter:  # a null pointer is false, yet not None
                continue
        answers[str(place)] = logits(model, adapter, job["tokens"])
    for place, path in enumerate(job.get("merged", ()), len(job["adapters"])):
        other = load(path)
        answers[str(place)] = logits(other, None, job["tokens"])
        llama_cpp.llama_model_free(other)
    np.savez(job["answers"], **answers)


def load(path):
    """Return a model, or end the process."""
    settings = llama_cpp.llama_model_default_params()
    settings.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(path.encode(), settings)
    if not model:
        sys.exit(f"llama.cpp refuses the model {path}")
    return model


def logits(model, adapter, tokens):
    """Return tokens × vocabulary, computed in float32 throughout."""
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 64
    settings.n_threads = settings.n_threads_batch = 1
    settings.type_k = settings.type_v = llama_cpp.GGML_TYPE_F32
    settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, settings)
    if adapter is not None:
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(adapter)
        status = llama_cpp.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0))
        if status != 0:
            sys.exit(f"llama_set_adapters_lora says {status}")
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for place, token in enumerate(tokens):
        batch.token[place], batch.pos[place] = token, place
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        batch.logits[place] = True
    status = llama_cpp.llama_decode(context, batch)
    if status != 0:
        sys.exit(f"llama_decode says {status}")
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    flat = llama_cpp.llama_get_logits(context)
    found = np.ctypeslib.as_array(flat, (len(tokens), vocabulary)).astype(np.float32)  # a copy
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    return found


if __name__ == "__main__":
    main()
