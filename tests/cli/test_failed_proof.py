"""A proof that fails, provoked by a cast that corrupts numbers."""

from dataclasses import replace

from terminal import run, tree

from ollama_pack.arch.table import require_arch
from ollama_pack.lora import export, planner


def test_failed_proof(ada, tiny_gguf, tmp_path, monkeypatch):
    """A file whose numbers are not the adapter's is told with figure and limit, and never appears."""
    honest = export.cast_tensor

    def corrupt(file, tensor, outtype):
        numbers = honest(file, tensor, outtype).copy()
        if tensor.name == "blk.1.ffn_up.weight.lora_b":
            numbers[-1, -1] += 0.01
        return numbers

    monkeypatch.setattr(export, "cast_tensor", corrupt)
    before = tree(tmp_path)
    ran = run("build", ada, "--base", tiny_gguf)
    assert (ran.code, ran.stdout) == (5, "")
    assert "blk.1.ffn_up.weight" in ran.stderr
    assert "limit" in ran.stderr or "rounding allows" in ran.stderr
    assert tree(tmp_path) == before


def test_failed_proof_keeps_the_last_good_file(ada, tiny_gguf, monkeypatch):
    """Where an earlier build left a file, a failed proof leaves that file."""
    assert run("convert", ada, "--base", tiny_gguf).code == 0
    before = tree(ada)
    honest = export.cast_tensor
    monkeypatch.setattr(export, "cast_tensor", lambda *given: honest(*given) * 2)
    assert run("convert", ada, "--base", tiny_gguf).code == 5
    assert tree(ada) == before


def test_reversed_row_orders(ada, tiny_gguf, monkeypatch):
    """With every row order of the table reversed in memory the conversion ends in exit 5, without a file."""

    def reverse(order):
        return None if order is None else lambda hparams, rows: order(hparams, rows)[::-1]

    def require_reversed(name):
        row = require_arch(name)
        weights = tuple(weight._replace(rows=reverse(weight.rows)) for weight in row.weights)
        return replace(row, weights=weights)

    before = tree(ada)
    with monkeypatch.context() as patch:
        patch.setattr(planner, "require_arch", require_reversed)
        ran = run("convert", ada, "--base", tiny_gguf)
    assert (ran.code, tree(ada)) == (5, before)
    assert "attn_k.weight" in ran.stderr or "attn_q.weight" in ran.stderr
    assert run("convert", ada, "--base", tiny_gguf).code == 0
