"""``ollama-pack archs``: the table of architectures."""

import pytest
from terminal import run

from ollama_pack.arch.evidence import evidence_of
from ollama_pack.arch.table import all_archs


def test_lists_all():
    """Every row is a line with its proof and its classes, and nothing is said on stderr."""
    ran = run("archs")
    assert (ran.code, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) == len(all_archs())
    for arch, line in zip(all_archs(), ran.stdout.splitlines(), strict=True):
        name, way, date, *classes = line.split()
        assert [name, *classes] == [arch.name, *", ".join(arch.hf_classes).split()]
        assert (way, date) in {(proof.way, proof.date) for proof in evidence_of(arch.name)}


@pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)
def test_one(arch):
    """One architecture is shown with a line for each of its modules, then what was proved of each class."""
    heading, modules, *proved = run("archs", arch.name).stdout.rstrip("\n").split("\n\n")
    assert heading.split() == [f"{arch.name}:", *", ".join(arch.hf_classes).split()]
    assert [line.split()[:2] for line in modules.splitlines()] == [
        [weight.module, weight.tensor] for weight in arch.weights
    ]
    assert [text.split()[2] for text in proved] == [proof.model for proof in evidence_of(arch.name)]


@pytest.mark.parametrize(
    ("module", "standing"),
    [("out_proj", "-"), ("in_proj", "logits"), ("q_proj", "logits"), ("embed_tokens", "-")],
)
def test_standing(module, standing):
    """Each module says whether it was proved, and how; what was not recorded says so."""
    lines = run("archs", "falcon-h1").stdout.splitlines()
    (line,) = (line for line in lines if line.split()[:1] and line.split()[0].endswith(f".{module}"))
    assert line.split()[2] == standing


def test_standing_of_the_unsupported():
    """A module that is unsupported says why."""
    lines = run("archs", "gemma4").stdout.splitlines()
    (line,) = (line for line in lines if ".experts.down_proj" in line)
    assert "unsupported" in line
    assert "unscaled" in line


def test_golden(golden):
    """The table of llama is what a human has read: rows move for query and key."""
    golden("cli/archs_llama.txt", run("archs", "llama").stdout)


def test_json():
    """The document has every row, and the order its rows take."""
    document = run("archs", "--json").document
    assert (document["schema_version"], document["kind"]) == (1, "archs")
    assert [row["name"] for row in document["archs"]] == [arch.name for arch in all_archs()]
    llama = next(row for row in document["archs"] if row["name"] == "llama")
    orders = {weight["module"].rpartition(".")[2]: weight["rows"] for weight in llama["weights"]}
    assert orders["q_proj"]
    assert not orders["v_proj"]
    one = run("archs", "llama", "--json").document
    assert one["archs"] == [llama]


def test_unknown():
    """A name without a row is not expressible, and the way to the list is told."""
    ran = run("archs", "clip")
    assert (ran.code, ran.stdout) == (4, "")
    assert "ollama-pack archs" in ran.stderr


def test_unknown_but_near():
    """A name that nearly is one is told."""
    assert "Did you mean 'qwen3next'?" in run("archs", "qwen3nxt").stderr


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("Llama", "llama"), ("mistral", "llama"), ("MistralForCausalLM", "llama"), ("qwen3_moe", "qwen3moe"),
        ("gpt_oss", "gpt-oss"), ("deepseek_v3", "deepseek2"), ("gemma3_text", "gemma3"),
        ("falcon_h1", "falcon-h1"), ("qwen3_5_moe", "qwen35moe"), ("gpt_bigcode", "starcoder"),
        ("Command-R", "command-r"),
    ],
)  # fmt: skip
def test_an_architecture_by_other_names(called, name):
    """The name of a class, what it begins with, or a model_type means its architecture."""
    assert run("archs", called).stdout == run("archs", name).stdout


def test_a_class_of_several_rows():
    """All rows that a class may be are shown."""
    shown = run("archs", "GraniteMoeHybridForCausalLM").stdout
    assert [f"\n{name}: " in f"\n{shown}" for name in ("granite", "granitemoe", "granitehybrid")] == [
        True
    ] * 3
