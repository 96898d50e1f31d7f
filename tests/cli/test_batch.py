"""Several adapters at once: ``build --each``, and the errors that lead there."""

import json
import shutil
import sys

import pytest
from following import command_in, shell
from recipes import write_adapter
from terminal import model_in, run, tree

SKIPPED_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: needs sh")


@pytest.fixture
def collection(tmp_path):
    """Return a directory with three adapters; the one in the middle is a DoRA, which no GGUF LoRA holds."""
    home = tmp_path / "collection"
    for name, config in (("ada-lora", {}), ("babbage-lora", {"use_dora": True}), ("grace-lora", {})):
        write_adapter(home / name, modules=("v_proj",), config=config)
    return home


@pytest.fixture
def good(collection):
    """Return a directory with two adapters."""
    shutil.rmtree(collection / "babbage-lora")
    return collection


def tried(ran):
    """Return the lines of the way out of an error, as a user reads them."""
    assert ran.code == 2
    return [line.strip() for line in ran.stderr.partition("  try: ")[2].splitlines()]


def each_of(collection, *more):
    """Run ``build --each`` on all that a shell would name for the star."""
    return run("build", "--each", *sorted(collection.iterdir()), *more)


def test_a_failure_does_not_stop_the_others(collection, tiny_gguf, models):
    """What can be built is built; the summary has a line for each, and the exit code is the failure's."""
    ran = each_of(collection, "--base", tiny_gguf, "--via", "store")
    assert (ran.code, ran.stdout) == (4, "ada\ngrace\n")
    assert [model_in(models, name)["schemaVersion"] for name in ("ada", "grace")] == [2, 2]
    assert not (collection / "babbage-lora" / "ollama").exists()
    reason = "A GGUF LoRA file cannot hold this adapter exactly"
    summary = ran.stderr[ran.stderr.index("summary") :].splitlines()
    assert [line.strip() for line in summary] == [
        "summary   2 of 3 succeeded",
        f"{collection / 'ada-lora'}: ada",
        f"{collection / 'babbage-lora'}: exit code 4, dora: {reason}",
        f"{collection / 'grace-lora'}: grace",
    ]
    assert f"Error: {reason}" in ran.stderr


def test_the_document(collection, tiny_gguf):
    """One document has the builds and the failures; a dry run has plans, and writes nothing."""
    before = tree(collection)
    ran = each_of(collection, "--base", tiny_gguf, "--via", "folder", "--json", "--dry-run")
    assert (ran.code, ran.document["kind"], tree(collection)) == (4, "plans", before)
    ran = each_of(collection, "--base", tiny_gguf, "--via", "folder", "--json")
    document = ran.document
    assert (ran.code, document["kind"], [each["name"] for each in document["builds"]]) == (
        4,
        "builds",
        ["ada", "grace"],
    )
    (failed,) = document["failed"]
    assert failed["directory"] == (collection / "babbage-lora").as_posix()
    assert (failed["error"]["code"], failed["error"]["exit_code"]) == ("dora", 4)


def test_all_succeed(good, tiny_gguf):
    """Without a failure the exit code is 0, and the document says that none failed."""
    ran = each_of(good, "--base", tiny_gguf, "--via", "folder", "--json")
    assert (ran.code, len(ran.document["builds"]), ran.document["failed"]) == (0, 2, [])


def test_the_exit_code_is_the_largest(collection, tiny_gguf):
    """A damaged adapter (3) beside an unsupported one (4) and one that is not there (2): 4."""
    (collection / "ada-lora" / "adapter_model.safetensors").write_bytes(b"damaged")
    ran = run("build", "--each", *collection.iterdir(), collection / "none", "--base", tiny_gguf, "--json")
    codes = {each["error"]["exit_code"] for each in ran.document["failed"]}
    assert (codes, ran.code) == ({2, 3, 4}, 4)


def test_an_error_of_the_system_is_of_one_build(good, tiny_gguf, monkeypatch):
    """A path that may not be read ends the build of that adapter only."""
    from ollama_pack.pipeline import inputs

    resolve = inputs.resolve_directory

    def forbidden(path, adapter):
        if path.name == "ada-lora":
            raise PermissionError(13, "Permission denied", str(path))
        return resolve(path, adapter)

    monkeypatch.setattr(inputs, "resolve_directory", forbidden)
    ran = each_of(good, "--base", tiny_gguf, "--via", "folder", "--json")
    assert (ran.code, [each["name"] for each in ran.document["builds"]]) == (3, ["grace"])


def test_each_has_a_folder_of_its_own(good, tiny_gguf, tmp_path):
    """With --out, the files of each model go into a folder with its name."""
    out = tmp_path / "releases"
    assert each_of(good, "--base", tiny_gguf, "--via", "folder", "--out", out).code == 0
    assert sorted(path.parent.name for path in out.glob("*/Modelfile.txt")) == ["ada", "grace"]


def test_each_may_be_a_run(good, tiny_gguf):
    """With --checkpoint, the chosen checkpoint of each is built; one without checkpoints fails by itself."""
    write_adapter(good / "ada-lora" / "checkpoint-3", modules=("v_proj",))
    more = ("--checkpoint", "latest", "--base", tiny_gguf, "--via", "folder", "--json")
    document = each_of(good, *more).document
    assert [each["name"] for each in document["builds"]] == ["ada:checkpoint-3"]
    assert [each["error"]["code"] for each in document["failed"]] == ["no-such-checkpoint"]


def test_files_are_left_out(good, tiny_gguf):
    """A shell names the files of a collection too: they are told, and not built."""
    (good / "README.md").write_text("# Collection\n")
    ran = each_of(good, "--base", tiny_gguf, "--via", "folder")
    assert (ran.code, ran.stdout) == (0, "ada\ngrace\n")
    assert f"skipped   {good / 'README.md'} is a file" in ran.stderr
    ran = run("build", "--each", good / "README.md")
    assert (ran.code, "No directory is named" in ran.stderr) == (2, True)


def test_two_of_one_name(good, tiny_gguf, tmp_path):
    """Two directories that give one name are told before the first is built, and --name is the way out."""
    other = write_adapter(tmp_path / "other" / "ada-lora", modules=("v_proj",))
    ran = run("build", "--each", good / "ada-lora", other, "--base", tiny_gguf, "--via", "folder", "--json")
    assert (ran.code, ran.document["code"]) == (2, "same-name")
    assert not list(tmp_path.rglob("Modelfile.txt"))
    command = command_in(ran.document["try"], "ollama-pack").replace("NAME", "other")
    words = command.split()[1:]
    assert run(*words, "--base", tiny_gguf, "--via", "folder").stdout == "other\n"


@pytest.mark.parametrize("more", [("--weight", "1"), ("--name", "ada")])
def test_what_is_for_one_model(good, more):
    """A weight and a name are for one model."""
    ran = each_of(good, *more)
    assert (ran.code, ran.stdout) == (2, "")
    assert f"Several models would be made, and {more[0]} is for one" in ran.stderr


def test_an_interruption_ends_all(good, tiny_gguf, monkeypatch):
    """Ctrl-C is no failure of one adapter."""
    from ollama_pack.pipeline import build

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "build", interrupted)
    ran = each_of(good, "--base", tiny_gguf)
    assert (ran.code, "summary" in ran.stderr) == (130, False)


@SKIPPED_ON_WINDOWS
@pytest.mark.parametrize(
    ("meant", "made"), [("makes a model of each", "ada\ngrace\n"), ("weighted sum", "ada-grace\n")]
)
def test_several_directories(good, tiny_gguf, tmp_path, meant, made):
    """Several directories without weights: both commands that could be meant are typed out, and work."""
    ran = run("build", *sorted(good.iterdir()), "--base", tiny_gguf, "--via", "store")
    (line,) = [line for line in tried(ran) if meant in line]
    assert shell(command_in(line, "ollama-pack"), tmp_path) == made


@SKIPPED_ON_WINDOWS
def test_a_name_behind_several_directories(good, tiny_gguf, tmp_path):
    """The name is for the sum; a model of each is named after its directory."""
    ran = run("build", *sorted(good.iterdir()), "both", "--base", tiny_gguf)
    each, total = tried(ran)
    assert shell(command_in(each, "ollama-pack"), tmp_path) == "ada\ngrace\n"
    shutil.rmtree(tmp_path / "tools")
    assert shell(command_in(total, "ollama-pack"), tmp_path) == "both\n"


def test_a_sum_of_strangers_is_not_offered(good):
    """Adapters of different bases, and more adapters than anybody sums by hand, become a model of each."""
    again = [write_adapter(good / f"{number}-lora") for number in range(3)]
    ran = run("build", *sorted(good.iterdir()), "--json")
    offered = ran.document["try"]
    assert (ran.document["code"], "--each" in offered, "--weight" in offered) == (
        "several-sources",
        True,
        False,
    )
    config = json.loads((again[0] / "adapter_config.json").read_text())
    (again[0] / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "org/x"}))
    (again[1] / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "org/y"}))
    offered = run("build", *again[:2], "--json").document["try"]
    assert ("--each" in offered, "--weight" in offered) == (True, False)


def test_other_commands_take_a_sum_only(good, tmp_path):
    """Convert and merge make one file: they offer the sum."""
    for command in ("convert", "merge"):
        more = ("--base", "x.gguf", "--out", tmp_path / "y.gguf") if command == "merge" else ()
        offered = run(command, *sorted(good.iterdir()), *more, "--json").document["try"]
        assert (offered.startswith(f"ollama-pack {command} --weight 1"), "--each" in offered) == (True, False)


@SKIPPED_ON_WINDOWS
@pytest.mark.parametrize("beside", [False, True])
def test_a_directory_with_several_adapters(good, tiny_gguf, tmp_path, beside):
    """The command that builds all of them is typed out: DIR/* if everything there is an adapter."""
    if beside:
        (good / "logs").mkdir()
        (good / "README.md").write_text("# Collection\n")
    ran = run("build", good, "--base", tiny_gguf, "--via", "store")
    one, every = tried(ran)
    assert one == "--adapter ada-lora"
    command = command_in(every, "ollama-pack")
    assert (f"build --each {good}/*" in command) is not beside
    assert shell(command, tmp_path) == "ada\ngrace\n"


@SKIPPED_ON_WINDOWS
def test_a_collection_with_spaces(good, tiny_gguf, tmp_path):
    """A path that a shell would split is quoted, but for the star."""
    home = good.rename(tmp_path / "my collection")
    ran = run("build", home, "--base", tiny_gguf)
    assert shell(command_in(tried(ran)[1], "ollama-pack"), tmp_path) == "ada\ngrace\n"


def test_inspect_offers_what_it_has(good):
    """Only build has --each."""
    assert "--each" not in run("inspect", good, "--json").stdout
