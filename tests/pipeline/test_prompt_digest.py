"""Models that differ in their prompt template have adapters that Ollama can tell apart."""

from dataclasses import replace

from ollama_pack.gguf.reader import read_gguf
from ollama_pack.pipeline import build
from ollama_pack.pipeline.request import Request

KEY = "ollama_pack.prompt.sha256"


def test_a_template_makes_another_file(make_adapter, tiny_gguf, tmp_path, no_daemon):
    """A TEMPLATE changes the digest of the GGUF file and not its numbers; without one nothing is added."""
    request = Request(directory=make_adapter(), base=str(tiny_gguf), via="folder", out=tmp_path / "plain")
    plain, digests = build.build(request), set()
    assert KEY not in read_gguf(plain.lora.path).metadata
    for template in ("alpaca", "vicuna"):
        own = replace(request, template=template, out=tmp_path / template)
        outcome = build.build(own)
        assert len(read_gguf(outcome.lora.path).metadata[KEY]) == 64
        assert outcome.report == plain.report
        assert (tmp_path / template / "Modelfile.txt").read_text().count("TEMPLATE") == 1
        assert build.plan_build(own)[0].plan.metadata[KEY] == read_gguf(outcome.lora.path).metadata[KEY]
        digests.add(outcome.lora.digest)
    assert len(digests | {plain.lora.digest}) == 3
