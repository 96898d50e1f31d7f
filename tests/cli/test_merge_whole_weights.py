"""A full fine-tune of single weights, which mlx-lm saves without A and B: the way out that is named works."""

import json

import numpy as np
from safetensors.numpy import save_file
from terminal import run

from ollama_pack.gguf.reader import read_gguf


def test_a_full_fine_tune_of_mlx_is_merged(tmp_path, tiny_gguf):
    """`build` names --merge, and the merged file holds the trained weight, byte for byte."""
    directory, name = tmp_path / "full", "blk.0.attn_output.weight"
    directory.mkdir()
    config = {"fine_tune_type": "full", "model": "org/base", "num_layers": 1}
    (directory / "adapter_config.json").write_text(json.dumps(config))
    weight = np.random.default_rng(0).standard_normal(read_gguf(tiny_gguf).shapes[name]).astype("f4")
    save_file({"model.layers.0.self_attn.o_proj.weight": weight}, directory / "adapters.safetensors")
    refused = run("build", directory, "--base", tiny_gguf, "--via", "folder")
    assert (refused.code, "--merge" in refused.stderr) == (4, True)
    merged = tmp_path / "merged.gguf"
    ran = run("merge", directory, "--base", tiny_gguf, "--out", merged)
    assert ran.code == 0, ran.stderr
    assert "1 whole weights, F32" in ran.stderr
    file = read_gguf(merged)
    assert merged.read_bytes()[file.offsets[name] :].startswith(weight.tobytes())
