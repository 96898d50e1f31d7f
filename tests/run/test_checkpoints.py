"""The checkpoints of a run: how far each came, which is the best, and which are meant."""

import json
import shutil
import time
from pathlib import Path

import pytest
from training_run import STATE, log_until, write_run

from ollama_pack.errors import InputError
from ollama_pack.run.checkpoints import choose, list_checkpoints, same_weights_as, weights_in
from ollama_pack.run.trainer_log import read_log


@pytest.fixture
def run(tmp_path):
    """Return a run with the checkpoints 10, 20 and 30."""
    return write_run(tmp_path / "ada-lora")


def test_what_is_known_of_each(run):
    """Steps in their order, with what was measured last, and the pieces of the training's state."""
    (run / "checkpoint-9").mkdir()
    found = list_checkpoints(run)
    assert [each.step for each in found] == [9, 10, 20, 30]
    last = found[-1]
    assert (last.log.step, last.log.epoch, last.log.last("loss")) == (30, 3.0, 0.1)
    assert (last.log.last("eval_loss"), last.log.last("nothing")) == (3.0, None)
    assert last.resumable
    assert last.states == ("optimizer", "scheduler", "random numbers", "log")
    assert last.size == sum(path.stat().st_size for path in last.directory.iterdir())
    assert [each.is_best for each in found] == [False, False, True, False]
    assert (found[0].log, found[0].weights, found[0].resumable, found[0].digest()) == (None, None, False, "")


@pytest.mark.parametrize("lost", [*STATE, "trainer_state.json"])
def test_resumable(run, lost):
    """Without optimizer, scheduler or log training does not go on; without the rest it does."""
    (run / "checkpoint-10" / lost).unlink()
    needed = {"optimizer.pt", "scheduler.pt", "trainer_state.json"}
    assert list_checkpoints(run)[0].resumable is (lost not in needed)


@pytest.mark.parametrize(
    "name", ["optimizer.bin", "optimizer_0/__0_0.distcp", "global_step10/mp_rank_00_model_states.pt"]
)
def test_state_of_others(run, name):
    """Accelerate, FSDP and DeepSpeed keep the optimizer under other names."""
    inner = run / "checkpoint-10"
    (inner / "optimizer.pt").unlink()
    (inner / name).parent.mkdir(exist_ok=True)
    (inner / name).write_bytes(b"x")
    assert list_checkpoints(run)[0].resumable


def test_which_is_meant(run):
    """A step, the latest, the best, or all; names of directories work too."""

    def names(which):
        return [each.name for each in choose(run, which)]

    assert names("20") == names("best") == names("checkpoint-20") == ["checkpoint-20"]
    assert names("latest") == ["checkpoint-30"]
    assert names("all") == ["checkpoint-10", "checkpoint-20", "checkpoint-30"]


@pytest.mark.parametrize("which", ["40", "", "-1", "²", "1e1", "first", "9" * 5000])
def test_which_is_not_there(run, which):
    """Anything else is told, with what there is."""
    with pytest.raises(InputError, match="There is no checkpoint") as caught:
        choose(run, which)
    assert "10, 20, 30" in caught.value.hint


def test_no_best(run):
    """Where the log names none, or one that is gone, that is said; other checkpoints do not step in."""
    shutil.rmtree(run / "checkpoint-20")
    with pytest.raises(InputError, match="checkpoint-20, which does not exist any more"):
        choose(run, "best")
    (run / "checkpoint-30" / "trainer_state.json").write_text(json.dumps(log_until(30)))
    with pytest.raises(InputError, match="no log says which one it is"):
        choose(run, "best")


def test_none_at_all(tmp_path):
    """A directory without checkpoints, or no directory, says so."""
    assert list_checkpoints(tmp_path) == ()
    with pytest.raises(InputError, match="no checkpoints"):
        choose(tmp_path, "latest")
    with pytest.raises(InputError, match="no such directory"):
        list_checkpoints(tmp_path / "nowhere")


def test_links_are_none(run, tmp_path):
    """A link that is called like a checkpoint leads elsewhere, and is none."""
    (run / "checkpoint-99").symlink_to(tmp_path)
    assert [each.step for each in list_checkpoints(run)] == [10, 20, 30]


def test_the_adapter_at_the_top(run):
    """It is told which checkpoint it is, if its weights are the same bytes."""
    found = list_checkpoints(run)
    assert same_weights_as(weights_in(run), found).step == 30
    shutil.copy(run / "checkpoint-10" / "adapter_model.safetensors", run)
    assert same_weights_as(weights_in(run), found).step == 10
    weights = run / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert same_weights_as(weights, found) is None
    assert same_weights_as(None, found) is None


DAMAGED = {
    "no JSON": "{",
    "a list": "[]",
    "log that is none": '{"log_history": 3}',
    "deep": '{"a":' * 10**6,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_log_that_is_damaged(run, content):
    """A checkpoint with such a log is listed, and what is wrong is told."""
    (run / "checkpoint-30" / "trainer_state.json").write_text(content)
    last = list_checkpoints(run)[-1]
    assert last.log is None
    assert "trainer_state.json" in last.note


def test_strange_numbers(tmp_path):
    """What is no finite number is no measurement; a step that is none has no entry."""
    history = [{"step": 1, "loss": float("nan"), "a": "x", "b": True, "c": [], "d": 2}, {"loss": 3}, 7,
               {"step": "2", "loss": 3}]  # fmt: skip
    state = {"log_history": history, "global_step": "many", "epoch": None, "best_model_checkpoint": 3}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    log = read_log(tmp_path)
    assert (log.curves, log.step, log.epoch, log.best) == ({"d": ((1.0, 2.0),)}, 0, 0.0, "")


def test_only_the_name_of_the_best(tmp_path):
    """Where the best checkpoint lay on the machine that trained is not told on, however it is spelled."""
    for text in (r"D:\me\run\checkpoint-5", "/home/me/run/checkpoint-5/", "checkpoint-5"):
        (tmp_path / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": text}))
        assert read_log(tmp_path).best == "checkpoint-5"


def test_the_real_run():
    """The example's own checkpoint is the adapter at its top, and training can go on from it."""
    run = Path(__file__).parents[2] / "examples" / "ada-lovelace-lora"
    (only,) = list_checkpoints(run)
    assert (only.step, only.resumable, only.is_best) == (420, True, False)
    assert same_weights_as(weights_in(run), (only,)) is only
    assert len(only.log.curves["loss"]) == 42


def test_leading_zeros(run):
    """A directory is meant by its exact number first; every one of them can be had."""
    shutil.copytree(run / "checkpoint-10", run / "checkpoint-0010")
    assert [each.name for each in choose(run, "10")] == ["checkpoint-10"]
    assert [each.name for each in choose(run, "0010")] == ["checkpoint-0010"]


def test_without_weights(run):
    """From a checkpoint without an adapter nothing goes on."""
    (run / "checkpoint-10" / "adapter_model.safetensors").unlink()
    assert not list_checkpoints(run)[0].resumable


@pytest.mark.parametrize("name", ["checkpoint\n-5", "best", "../../etc", "checkpoint-"])
def test_a_best_that_is_no_checkpoint(run, name):
    """Only a name that a checkpoint may have is one."""
    (run / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": f"/x/{name}"}))
    assert read_log(run).best == ""


def test_weights_that_are_none(run):
    """A file of 40 GB that is no adapter is not read for its digest."""
    with (run / "checkpoint-10" / "adapter_model.safetensors").open("r+b") as file:
        file.truncate(40 << 30)
    start = time.monotonic()
    assert list_checkpoints(run)[0].digest() == ""
    assert time.monotonic() - start < 5
