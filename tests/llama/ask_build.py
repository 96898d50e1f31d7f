"""Run a prebuilt build of llama.cpp on a base and its adapters: a process of its own, because it may abort.

Called as ``python ask_build.py JOB.json``. The job names the directory of the build, a base, adapters (a null
is the bare base), prompts of token ids, and a folder for the answers. The answer to an adapter is a file
named by its place in the list: for each prompt the logarithm of the probability of every token of the
vocabulary to come next, in float32. Nothing here imports ollama_pack: the judge
shares no code with the judged.
"""

import json
import os
import sys
from array import array
from pathlib import Path

REFUSES = 3
"""The exit code if llama.cpp refuses the base or one of the adapters: it is told all of them at once."""

FORCED, PLAIN_TOKENS = 1e4, (16, 64)
"""A bias with which a token comes next, which changes no probability that is told; and tokens to try."""

ALL = 1_000_000
"""More probabilities than any vocabulary has; llama.cpp gives those that there are."""


def main() -> None:
    """Answer one job."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.path.insert(0, job["library"])
    paths = [path for path in job["adapters"] if path is not None]
    server = load(job["base"], paths)
    slot = 0
    for place, path in enumerate(job["adapters"]):
        scales = [
            {"id": each, "scale": float(path is not None and each == slot)} for each in range(len(paths))
        ]
        slot += path is not None
        answer = array("f")
        for prompt in job["prompts"]:
            answer.extend(next_token(server, prompt, scales))
        (Path(job["answers"]) / str(place)).write_bytes(answer.tobytes())
    os._exit(0)  # a server that is shut down right after its start may wait for itself forever


def load(base, adapters):
    """Return llama-server in this process, computing in float32 in one thread; exit if it refuses."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = base
    settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in adapters]
    settings.lora_init_without_apply = True  # each request says which one acts
    settings.n_gpu_layers = 0
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 64
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.n_parallel = 1
    settings.warmup = settings.fit_params = settings.ui = False
    settings.cache_ram_mib = 0
    try:
        return xllamacpp.Server(settings)
    except RuntimeError:
        os._exit(REFUSES)


def next_token(server, prompt, scales):
    """Return the logarithm of the probability of each token, in the order of the vocabulary."""
    asked = {"prompt": prompt, "n_predict": 1, "n_probs": ALL, "temperature": 0, "cache_prompt": False}
    for forced in ([], *([[token, FORCED]] for token in range(*PLAIN_TOKENS))):
        reply = server.handle_completions({**asked, "logit_bias": forced, "lora": scales})
        if "choices" not in reply:
            sys.exit(f"llama.cpp answers {reply}")
        if reply["choices"][0]["logprobs"] is not None:  # it is, unless the next token is no text by itself
            break
    chances = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return [each["logprob"] for each in sorted(chances, key=lambda each: each["id"])]


if __name__ == "__main__":
    main()
