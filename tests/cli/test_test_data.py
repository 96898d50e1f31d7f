"""`test --init` finds the training data as trainers leave it, and the Trainer's eval loss is told."""

import json

import pytest
import yaml
from recipes import write_adapter, write_model
from terminal import run
from test_test_command import CHAT
from training_run import write_run

from ollama_pack.pipeline.trial.messages import read_conversations

pytestmark = pytest.mark.usefixtures("stand_in_llama")
ALPACA = {"instruction": "Sum up.", "input": "A long text.", "output": "Short."}
SHAREGPT = {"conversations": [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Ada."}]}
TRL = {
    "prompt": [{"role": "user", "content": "Who?"}],
    "completion": [{"role": "assistant", "content": "Ada."}],
}
PLAIN = {"question": "Who?", "answer": "Ada."}
QUESTIONS = [(ALPACA, "Sum up.\nA long text."), (SHAREGPT, "Who?"), (TRL, "Who?"), (PLAIN, "Who?")]


@pytest.fixture
def place(tmp_path):
    """Return a directory with an adapter in ``run``, and nothing else."""
    home = tmp_path / "work"
    write_adapter(home / "run")
    return home


def lines(*entries):
    """Return JSON lines."""
    return "".join(f"{json.dumps(each)}\n" for each in entries)


def first_file(place, *more, source=None):
    """Run ``test --init``, and return what it says and the questions of the file that it wrote."""
    path = place.parent / "first.yaml"
    path.unlink(missing_ok=True)
    ran = run("test", source or place / "run", "--cases", path, "--init", *more)
    cases = yaml.safe_load(path.read_text("utf-8"))["cases"] if path.exists() else []
    return ran, [each["prompt"] for each in cases]


def put(path, text):
    """Write a file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


@pytest.mark.parametrize("entry", [ALPACA, SHAREGPT, TRL, PLAIN])
def test_the_system_message_of_an_entry(tmp_path, entry):
    """It belongs to the conversation, whatever form the entry has."""
    put(tmp_path / "train.jsonl", lines({**entry, "system": "Be brief."}))
    (found,) = read_conversations(tmp_path / "train.jsonl")
    assert found.messages[0] == {"role": "system", "content": "Be brief."}
    assert len(found.messages) == 3


@pytest.mark.parametrize(("entry", "question"), QUESTIONS)
def test_the_forms_of_entries(place, entry, question):
    """Whatever form an entry has, as JSON lines or as a list, its question is the user's."""
    put(place / "run" / "train.jsonl", lines(entry))
    assert first_file(place)[1] == [question]
    (place / "run" / "train.jsonl").unlink()
    put(place / "run" / "train.json", json.dumps([entry]))
    assert first_file(place)[1] == [question]


def test_what_lies_beside(place):
    """Data beside the run is found, held-out data and logs are not, and what is nearer counts."""
    put(place / "held_out.jsonl", lines({"question": "held out?", "answer": "b"}))
    put(place / "run" / "trainer_log.jsonl", lines({"loss": 1}))
    put(place / "run" / "generated_predictions.jsonl", lines({"prompt": "generated?", "predict": "b"}))
    put(place / "notes.jsonl", lines({"note": "nothing is asked"}))
    put(place / "data" / "mine.jsonl", lines({"question": "data?", "answer": "b"}))
    ran, found = first_file(place)
    assert (found, f"data      {place / 'data' / 'mine.jsonl'}" in ran.stderr) == (["data?"], True)
    put(place / "questions.jsonl", lines({"question": "beside?", "answer": "b"}))
    assert first_file(place)[1] == ["beside?"]
    put(place / "train.jsonl", lines({"question": "train?", "answer": "b"}))
    assert first_file(place)[1] == ["train?"]


AXOLOTL = """base_model: tests/tiny
datasets:
  - path: data/mine.jsonl
    type: chat_template
val_set_size: 0.05
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("axolotl.yaml", AXOLOTL),
        ("run/config.yml", AXOLOTL),
        ("run/README.md", f"---\nlicense: mit\n---\n<details>\n\n```yaml\n{AXOLOTL}\n```\n</details>\n"),
    ],
)
def test_axolotl(place, name, text):
    """Its settings are beside the run, in it, or in the model card; what they name counts before the rest."""
    put(place / name, text)
    put(place / "data" / "mine.jsonl", lines(SHAREGPT))
    put(place / "run" / "train.jsonl", lines({"question": "other?", "answer": "b"}))
    ran, found = first_file(place)
    assert found == ["Who?"]
    assert f"mine.jsonl, which {name.rpartition('/')[2]} names" in ran.stderr


@pytest.mark.parametrize("prefix", ["", "train."])
def test_llama_factory(place, prefix):
    """Its settings name data by the names of dataset_info.json."""
    settings = {f"{prefix}dataset": "ada,identity", f"{prefix}dataset_dir": "data"}
    put(place / "run" / "llamaboard_config.yaml", yaml.safe_dump(settings))
    put(place / "data" / "dataset_info.json", json.dumps({"ada": {"file_name": "a.json"}, "identity": {}}))
    put(place / "data" / "a.json", json.dumps([ALPACA]))
    assert first_file(place)[1] == ["Sum up.\nA long text."]


def test_data_that_is_elsewhere(place):
    """Data of the Hub is named and not downloaded; --data, as the hint says, is enough."""
    nothing, _ = first_file(place)
    assert (nothing.code, "There is no training data on this machine." in nothing.stderr) == (2, True)
    put(place / "run" / "config.yaml", "datasets:\n  - path: somebody/alpaca_2k\n    type: alpaca\n")
    ran, _ = first_file(place)
    assert (ran.code, "config.yaml names somebody/alpaca_2k." in ran.stderr) == (2, True)
    assert "try: --data FILE.jsonl" in ran.stderr
    put(place / "mine.jsonl", lines(PLAIN))
    assert first_file(place, "--data", place / "mine.jsonl")[1] == ["Who?"]


def test_data_of_a_checkpoint(place):
    """The data of a checkpoint is that of its run."""
    write_run(place / "run")
    put(place / "run" / "train.jsonl", lines(PLAIN))
    assert first_file(place, source=place / "run" / "checkpoint-20")[1] == ["Who?"]


@pytest.mark.parametrize(
    "text", ["datasets: 5", "datasets: [{path: 5}]", "dataset: {a: b}", "- x", "\0", "a: [", "dataset: [5]"]
)
def test_settings_that_are_odd(place, text):
    """Other settings, and damaged ones, are passed over."""
    put(place / "run" / "config.yaml", text)
    put(place / "run" / "train.jsonl", lines(PLAIN))
    assert first_file(place)[0].code in (0, 2)
    (place / "run" / "config.yaml").unlink()
    assert first_file(place)[1] == ["Who?"]


@pytest.fixture
def tested(place, tmp_path):
    """Return settings → what `test` says of the eval loss of a run beside a loss of its own."""
    chatting = write_model(tmp_path / "chat.gguf", keys=CHAT)
    write_run(place / "run")
    put(place / "held.jsonl", lines(PLAIN))
    put(place / "cases.jsonl", lines({"file": "held.jsonl", "perplexity_at_most": 9}))

    def test(settings=None, directory=place / "run"):
        if settings is not None:
            put(place / "run" / "axolotl.yaml", yaml.safe_dump(settings))
        ran = run("test", directory, "--cases", place / "cases.jsonl", "--base", chatting, "--json")
        assert ran.code == 0, ran.stderr
        return ran

    return test


def test_the_loss_of_the_trainer(tested, place):
    """The last eval loss of the adapter at the top is that of the checkpoint with the same weights."""
    ran = tested()
    assert (ran.document["trainer"]["eval_loss"], ran.document["trainer"]["step"]) == (3.0, 30)
    assert len(ran.document["trainer"]["unlike"]) == 2
    said = "eval loss 3.0000 at step 30, here 0.6931 on held.jsonl; these may be different measures"
    assert f"trainer   {said}" in ran.stderr
    best = tested(directory=place / "run" / "checkpoint-20")
    assert best.document["trainer"]["eval_loss"] == 2.0


DATA = [{"path": "train.jsonl"}]
MEASURES = [
    ({"datasets": DATA, "test_datasets": [{"path": "held.jsonl"}], "train_on_inputs": False}, []),
    ({"datasets": DATA, "test_datasets": [{"path": "o.jsonl"}], "train_on_inputs": False}, ["o.jsonl"]),
    (
        {
            "datasets": DATA,
            "test_datasets": [{"path": "json", "data_files": ["held.jsonl"]}, {"ds_type": "json"}],
            "train_on_inputs": False,
        },
        [],
    ),
    ({"datasets": DATA, "val_set_size": 0.1, "train_on_inputs": True}, ["set aside", "prompts too"]),
    ({"dataset": "a", "eval_dataset": "held.jsonl", "train_on_prompt": True}, ["prompts too"]),
]


@pytest.mark.parametrize(("settings", "words"), MEASURES)
def test_when_it_is_another_measure(tested, settings, words):
    """Other data, or the tokens of the prompts: what the settings say of it is told."""
    unlike = tested(settings).document["trainer"]["unlike"]
    assert len(unlike) == len(words)
    assert all(word in clause for word, clause in zip(words, unlike, strict=True))


def test_the_data_is_not_read_for_its_settings(tested, monkeypatch):
    """What settings say of the eval loss is known without the training data, which may be large."""
    monkeypatch.setattr("ollama_pack.pipeline.trial.training_data.has_answers", None)
    told = tested({"datasets": DATA, "val_set_size": 0.1}).document["trainer"]
    assert told["unlike"][0] == "it was measured on a part of the training data that was set aside"


def test_a_log_that_is_damaged_or_not_there(tested, place):
    """A damaged log is told and fails nothing; without a log, or without figures, there is no such loss."""
    (place / "run" / "trainer_state.json").write_text("{")
    ran = tested()
    assert (ran.document["trainer"], "the training log cannot be read" in ran.stderr) == (None, True)
    (place / "run" / "trainer_state.json").unlink()
    put(place / "cases.jsonl", lines({"prompt": "a b c", "stops": True}))
    assert tested().document["trainer"] is None
