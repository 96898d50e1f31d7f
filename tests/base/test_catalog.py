import re
import subprocess
import sys
import time

import pytest

from ollama_pack.base import catalog
from ollama_pack.base.catalog import CATALOG_COLUMNS, TABLE, base_from_entry, load_catalog
from ollama_pack.base.lookup import find_entry, find_tag, read_base_by_name, similar_ids
from ollama_pack.errors import InputError, UnsupportedError
from ollama_pack.ollama.names import parse_name

ENTRIES = load_catalog()
MEASURED = [entry for entry in ENTRIES if entry.blocks is not None]

# The only shapes (hidden, heads) whose heads together are not as wide as the residual stream.
OTHER_WIDTH = {
    "gemma": {(3072, 16)},
    "gemma2": {(2304, 8), (3584, 16), (4608, 32)},
    "gemma3": {(640, 4), (1152, 4), (2560, 8), (3840, 16), (5376, 32)},
    "gpt-oss": {(2880, 64)},
    "llama": {(5120, 32)},  # Mistral Nemo and the 24B Mistral Small
    "qwen3": {(1024, 16), (2560, 32), (5120, 64)},
    "qwen3moe": {(2048, 32)},
    "qwen3vl": {(2560, 32), (5120, 64)},
    "qwen35": {(1024, 8), (2560, 16), (5120, 24)},
    "qwen35moe": {(2048, 16)},
}
GATED = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "granite", "olmo2", "exaone")

# The real size, where the one in the id is rounded; Tulu's lacks the vocabulary.
BILLIONS = {"gemma-2b": 2.5, "gemma-7b": 8.5, "gemma-1.1-2b-it": 2.5, "gemma-1.1-7b-it": 8.5}
BILLIONS |= {"gemma-2b-it": 2.5, "gemma-7b-it": 8.5, "codegemma-2b": 2.5, "codegemma-7b": 8.5}
BILLIONS |= {"codegemma-7b-it": 8.5, "gemma-2-2b": 2.6, "gemma-2-2b-it": 2.6, "llama-30b": 32.5}
BILLIONS |= {"Llama-3.2-1B": 1.24, "Llama-3.2-1B-Instruct": 1.24, "open_llama_3b": 3.4}
BILLIONS |= {"Falcon3-1B-Base": 1.67, "Falcon3-1B-Instruct": 1.67}
BILLIONS |= {"OLMo-2-0425-1B": 1.48, "OLMo-2-0425-1B-Instruct": 1.48, "Llama-3.1-Tulu-3-8B": 7.0}
BILLIONS |= {"Qwen3-Embedding-4B": 3.6, "Qwen3-Embedding-8B": 6.9}  # without the vocabulary
BILLIONS |= {f"granite-3.{minor}-2b-instruct": 2.5 for minor in (1, 2, 3)}


def by_id(source_id):
    entry = find_entry(source_id)
    assert entry is not None
    return entry


def test_it_is_a_table_with_the_columns_it_names():
    """Every line of the file has one cell a column."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "\t".join(CATALOG_COLUMNS)
    assert {line.count("\t") for line in lines} == {len(CATALOG_COLUMNS) - 1}


def test_it_is_sorted_and_large():
    """The rows are sorted by id, and there are at least 116."""
    ids = [entry.source_id.lower() for entry in ENTRIES]
    assert ids == sorted(ids)
    assert len(ids) >= 116


def test_no_name_means_two_bases():
    """Ids and aliases, taken together and without case, are unique."""
    names = [name.lower() for entry in ENTRIES for name in entry.names]
    assert sorted(set(names)) == sorted(names)


def test_no_tag_means_two_bases():
    """Tags are unique, so that a tag says which base it is."""
    tags = [tag.lower() for entry in ENTRIES for tag in entry.tags]
    assert sorted(set(tags)) == sorted(tags)


def test_no_name_carries_the_suffix_that_is_taken_off():
    """4-bit copies need no alias: their suffix is taken off when they are looked up."""
    assert not [name for entry in ENTRIES for name in entry.names if name.lower().endswith("-bnb-4bit")]


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.tag], ids=lambda e: e.source_id)
def test_tags_are_names_ollama_accepts(entry):
    """Every tag is spelled as the daemon prints it, and has a confidence."""
    assert [parse_name(tag).display for tag in entry.tags] == list(entry.tags)
    assert entry.confidence in {"A", "B", "C"}


def test_a_row_without_a_tag_has_nothing_to_say_about_it():
    """Quantisation and confidence belong to a tag."""
    assert not [e.source_id for e in ENTRIES if not e.tag and (e.quant or e.confidence)]


@pytest.mark.parametrize("entry", MEASURED, ids=lambda e: e.source_id)
def test_the_numbers_of_a_row_agree(entry):
    """Numbers come together, divide as they must, and only listed shapes have heads of another width."""
    numbers = (entry.blocks, entry.heads, entry.kv_heads, entry.head_dim, entry.hidden)
    assert all(number and number > 0 for number in numbers)
    assert entry.arch
    assert entry.heads % entry.kv_heads == 0
    assert entry.head_dim % 2 == 0
    assert (entry.feed_forward or 0) % 32 == 0
    same_width = entry.heads * entry.head_dim == entry.hidden
    assert same_width != ((entry.hidden, entry.heads) in OTHER_WIDTH.get(entry.arch, ()))


def size_said(entry):
    """Return the billions of weights the id names, None if it names none or counts otherwise."""
    last = entry.source_id.rpartition("/")[2]
    named = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)([BM])\b", last, re.IGNORECASE)
    if not named or entry.arch not in GATED or not entry.feed_forward:
        return None
    return BILLIONS.get(last, float(named[1]) / (1 if named[2] in "Bb" else 1000))


@pytest.mark.parametrize(
    "entry", [entry for entry in MEASURED if size_said(entry)], ids=lambda e: e.source_id
)
def test_the_numbers_make_as_many_weights_as_the_id_says(entry):
    """Embedding and blocks add up to the billions in the id."""
    attention = 2 * entry.hidden * entry.head_dim * (entry.heads + entry.kv_heads)
    blocks = entry.blocks * (attention + 3 * entry.hidden * entry.feed_forward)
    embedding = (entry.vocab or 0) * entry.hidden
    assert (blocks + embedding) * 0.93 / 1e9 <= size_said(entry) <= (blocks + 2 * embedding) * 1.07 / 1e9


def test_architectures_are_llama_cpps():
    """Every architecture is a name the gguf package knows."""
    ask = "import gguf; print(*gguf.MODEL_ARCH_NAMES.values())"
    known = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert {entry.arch for entry in ENTRIES if entry.arch} <= set(known.split())


def test_one_class_is_one_architecture():
    """A class of transformers is never converted to two architectures."""
    pairs = {(entry.model_class, entry.arch) for entry in ENTRIES if entry.model_class}
    assert len({model_class for model_class, _ in pairs}) == len(pairs)


def test_loading_is_fast_and_pulls_in_nothing_heavy():
    """The catalog is read in less than 5 ms, and numpy stays out."""
    spent = []
    for _ in range(40):
        for made in (load_catalog, catalog._table_rows, catalog._parse_row):
            made.cache_clear()
        start = time.process_time()
        load_catalog()
        spent.append(time.process_time() - start)
    assert min(spent) < 0.005
    look = "import sys, ollama_pack.base.catalog; print('numpy' in sys.modules, 'difflib' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("lmsys/vicuna-7b-v1.5", "lmsys/vicuna-7b-v1.5"),
        (" LMSYS/Vicuna-7B-v1.5/ ", "lmsys/vicuna-7b-v1.5"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "meta-llama/Llama-3.1-8B-Instruct"),
        ("unsloth/Qwen2.5-0.5B-Instruct-unsloth-bnb-4bit", "Qwen/Qwen2.5-0.5B-Instruct"),
        ("NousResearch/Llama-2-7b-hf", "meta-llama/Llama-2-7b-hf"),
        ("~/.cache/huggingface/hub/models--Qwen--Qwen2.5-7B/snapshots/abc", "Qwen/Qwen2.5-7B"),
    ],
)
def test_an_id_is_found_without_a_word(asked, found):
    """Case, a last slash, mirrors, 4-bit copies and the cache are no reason for a note."""
    entry = by_id(asked)
    assert entry.source_id == found
    assert not any("is taken to be" in note for note in entry.notes)


@pytest.mark.parametrize(
    "asked",
    [
        "/x/y/vicuna-7b-v1.5",
        "vicuna-7b-v1.5",
        r"C:\models\Vicuna-7b-v1.5",
        "./vicuna-7b-v1.5/",
        "/m/lmsys/vicuna-7b-v1.5",
    ],
)
def test_a_local_path_is_found_by_its_name_and_says_so(asked):
    """The last part of a path is tried, and the base carries a note that names both."""
    base = read_base_by_name(asked)
    assert base.source_id == "lmsys/vicuna-7b-v1.5"
    assert asked.rstrip("/") in base.notes[0]
    assert "is taken to be lmsys/vicuna-7b-v1.5" in base.notes[0]


@pytest.mark.parametrize("asked", ["", "/", ".", "someone/vicuna-7b-v1.5", "models/phi-4/mine", "vicuna:7b"])
def test_what_is_not_there_is_not_found(asked):
    """Somebody else's model of the same name is not taken for the original."""
    assert find_entry(asked) is None


def test_a_name_that_means_two_bases_is_not_found():
    """phi-4 is Microsoft's or Unsloth's, whose layouts differ: both are offered instead."""
    assert find_entry("/x/phi-4") is None
    assert by_id("unsloth/phi-4").arch != by_id("microsoft/phi-4").arch
    assert set(similar_ids("phi-4", 2)) == {"microsoft/phi-4", "unsloth/phi-4"}
    assert by_id("/x/unsloth/phi-4").arch == "llama"


@pytest.mark.parametrize(
    "asked", ["vicuna:7b", "vicuna", "library/vicuna:latest", "registry.ollama.ai/library/Vicuna:7B"]
)
def test_a_tag_is_found_however_it_is_written(asked):
    """Ollama's defaults are filled in, and case does not matter."""
    assert find_tag(asked).source_id == "lmsys/vicuna-7b-v1.5"


@pytest.mark.parametrize(
    "asked", ["somebody/vicuna:7b", "vicuna:7c", "not a name", "", "lmsys/vicuna-7b-v1.5"]
)
def test_a_tag_that_is_not_there_is_not_found(asked):
    """Other people's models, unknown tags and what is no name at all are not in the catalog."""
    assert find_tag(asked) is None


def test_typing_errors_are_understood():
    """The nearest ids come first, at most as many as asked for; a tag gets tags."""
    assert similar_ids("lmsys/vicuna7b-v1.5", 1) == ("lmsys/vicuna-7b-v1.5",)
    assert similar_ids("vicuna:7c")[0] == "vicuna:7b"
    assert len(similar_ids("Qwen/Qwen2.5-8B")) == 3
    assert similar_ids("zzzz/0000") == ()


def test_a_base_carries_the_numbers_of_its_row():
    """Everything a conversion needs of vicuna:7b is there."""
    base = base_from_entry(by_id("lmsys/vicuna-7b-v1.5"))
    assert (base.hparams.arch, base.tag, base.origin) == ("llama", "vicuna:7b", "catalog")
    assert (
        base.hparams.blocks,
        base.hparams.heads,
        base.hparams.kv_heads,
        base.hparams.head_dim,
        base.hparams.hidden,
    ) == (32, 32, 32, 128, 4096)
    assert (base.hparams.feed_forward, base.hparams.vocab) == (11008, 32000)
    assert base.details == {"file_type": "Q4_0"}
    assert base.notes == ()


def test_a_base_carries_the_warnings_of_its_row():
    """A doubtful tag, a moved one and a missing one are said."""
    assert any("not certain" in note for note in read_base_by_name("google/gemma-2-9b").notes)
    assert any("Llama 8B" in note for note in read_base_by_name("deepseek-r1:8b").notes)
    assert any("No Ollama model of" in note for note in read_base_by_name("huggyllama/llama-7b").notes)


def test_an_unknown_number_that_may_be_missing_is_zero():
    """The experts' size and the vocabulary are not needed: 0 says unknown."""
    assert base_from_entry(by_id("Qwen/Qwen3-30B-A3B")).hparams.feed_forward == 0
    assert base_from_entry(by_id("allenai/Llama-3.1-Tulu-3-8B")).hparams.vocab == 0


def test_a_row_without_numbers_is_refused_by_name():
    """What is missing is listed, and --base is the way out."""
    with pytest.raises(UnsupportedError) as caught:
        read_base_by_name("google/gemma-4-E4B-it")
    assert "number of blocks" in caught.value.what
    assert "the architecture" not in caught.value.what
    assert "google/gemma-4-E4B-it" in caught.value.where
    assert caught.value.hint.startswith("ollama pull gemma4:e4b  and build again")
    assert "--base FILE.gguf" in caught.value.hint


def test_a_base_asked_for_by_tag_keeps_that_tag():
    """Who has llama3:latest does not need llama3:8b."""
    assert read_base_by_name("library/llama3").tag == "llama3:latest"
    assert read_base_by_name("meta-llama/Meta-Llama-3-8B-Instruct").tag == "llama3:8b"


def test_an_unknown_name_is_answered_with_similar_ones():
    """The error names what was asked for, the option that helps and what the catalog has."""
    with pytest.raises(InputError) as caught:
        read_base_by_name("lmsys/vicuna-7b-v1.6")
    assert "lmsys/vicuna-7b-v1.6" in caught.value.what
    assert caught.value.hint.startswith("--base ")
    assert "lmsys/vicuna-7b-v1.5" in caught.value.hint
    with pytest.raises(InputError) as caught:
        read_base_by_name("zzzz/0000")
    assert "catalog has" not in caught.value.hint


def test_a_tag_whose_row_has_no_numbers_names_the_base():
    """The refusal does not depend on how the base was asked for."""
    with pytest.raises(UnsupportedError, match=re.escape("Qwen/Qwen3.5-2B")):
        read_base_by_name("qwen3.5:2b")


def test_a_tag_is_spelled_as_the_registry_spells_it():
    """Capitals are kept, or put back: a registry distinguishes them where Ollama itself does not."""
    for asked in ("llama3.2:3b-text-q4_K_M", "llama3.2:3b-text-q4_k_m"):
        assert read_base_by_name(asked).tag == "llama3.2:3b-text-q4_K_M"
