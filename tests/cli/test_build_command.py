"""``ollama-pack build``: what it makes, where it says what, and what it leaves alone."""

import json
import re

import pytest
from terminal import add_base, blob_in, digest_in, layers_of, model_in, run, tree

AUTHOR = """# Who she is
FROM vicuna:7b

SYSTEM You are Ada.
# Cooler than usual
PARAMETER temperature 0.3
"""


@pytest.mark.parametrize("via", ["auto", "store"])
def test_store(ada, tiny_gguf, models, via):
    """Without a daemon a model ends in the store, complete, under the name of the directory."""
    ran = run("build", ada, "--base", tiny_gguf, "--via", via)
    assert (ran.code, ran.stdout) == (0, "ada\n")
    layers = layers_of(model_in(models, "ada"))
    assert list(layers) == ["model", "adapter"]
    assert blob_in(models, layers["adapter"]) == (ada / "ollama" / "adapter_model.gguf").read_bytes()
    assert blob_in(models, layers["model"]) == tiny_gguf.read_bytes()
    assert "registered ada in" in ran.stderr or "No Ollama daemon answers" in ran.stderr


def test_newer_store(ada, tiny_gguf, models):
    """A store of Ollama 0.40 gets the model in both layouts."""
    (models / "manifests-v2").mkdir(parents=True)
    ran = run("build", ada, "--base", tiny_gguf, "--via", "store")
    assert ran.code == 0
    entry = models / "manifests-v2" / "ollama.com" / "library" / "ada" / "latest"
    assert json.loads(entry.read_bytes()) == model_in(models, "ada")


def test_folder(ada, tiny_gguf, tmp_path, models):
    """A folder gets everything that is needed later; adapter directory and store get nothing."""
    before = tree(ada)
    ran = run("build", ada, "--base", tiny_gguf, "--via", "folder", "--out", tmp_path / "release")
    assert (ran.code, ran.stdout) == (0, "ada\n")
    assert tree(ada) == before
    assert not models.exists()
    assert {"Modelfile.txt", "adapter_model.gguf"} <= tree(tmp_path / "release").keys()
    assert f"ollama-pack register {tmp_path / 'release'} ada" in ran.stderr


@pytest.mark.parametrize("via", ["store", "folder"])
def test_twice(ada, tiny_gguf, models, via):
    """A second build changes no byte, no manifest, and does not touch Modelfile.txt."""
    assert run("build", ada, "--base", tiny_gguf, "--via", via).code == 0
    written = ada / "ollama" / "Modelfile.txt"
    before = (tree(ada), tree(models), written.stat().st_mtime_ns)
    assert run("build", ada, "--base", tiny_gguf, "--via", via).code == 0
    assert (tree(ada), tree(models), written.stat().st_mtime_ns) == before


def test_same_digest_from_anywhere(ada, tiny_gguf, models, tmp_path, monkeypatch):
    """The model depends on what goes in, not on where the command is typed or what --out is."""
    run("build", ada, "--base", tiny_gguf)
    monkeypatch.chdir(ada)
    run("build", ".", "other", "--base", tiny_gguf, "--out", tmp_path / "out")
    assert digest_in(models, "ada") == digest_in(models, "other")


def test_author(ada, tiny_gguf, models):
    """The built Modelfile has the author's comments and commands; only FROM and ADAPTER are set."""
    (ada / "Modelfile.txt").write_text(AUTHOR, "utf-8")
    assert run("build", ada, "--base", tiny_gguf).code == 0
    assert (ada / "Modelfile.txt").read_text("utf-8") == AUTHOR
    written = (ada / "ollama" / "Modelfile.txt").read_text("utf-8").splitlines()
    kept = [line for line in AUTHOR.splitlines() if not line.startswith("FROM")]
    assert [line for line in written if not line.startswith(("FROM", "ADAPTER"))] == kept
    assert written[2] == "ADAPTER ./adapter_model.gguf"
    layers = layers_of(model_in(models, "ada"))
    assert blob_in(models, layers["system"]) == b"You are Ada."
    assert json.loads(blob_in(models, layers["params"])) == {"temperature": 0.3}


def test_options_beat_the_author(ada, tiny_gguf, models):
    """--system and --parameter replace what Modelfile.txt says."""
    (ada / "Modelfile.txt").write_text(AUTHOR, "utf-8")
    run("build", ada, "--base", tiny_gguf, "--system", "Be brief.", "--parameter", "temperature=1")
    layers = layers_of(model_in(models, "ada"))
    assert blob_in(models, layers["system"]) == b"Be brief."
    assert json.loads(blob_in(models, layers["params"])) == {"temperature": 1}


def test_which_base(make_adapter, tiny_gguf, tmp_path):
    """--base beats FROM, which beats base_model_name_or_path; that it is not what was trained is told."""
    known = make_adapter(config={"base_model_name_or_path": "lmsys/vicuna-7b-v1.5"})
    assert "32 blocks" in run("build", known, "--dry-run").stderr
    (known / "Modelfile.txt").write_text("FROM vicuna:13b\n", "utf-8")
    ran = run("build", known, "--dry-run")
    assert (ran.code, "with 32 blocks, and the base has 40" in ran.stderr) == (5, True)
    ran = run("build", known, "--dry-run", "--base", tiny_gguf)
    assert (ran.code, "2 blocks" in ran.stderr) == (5, True)
    assert "blocks: the adapter was trained with 32 blocks, and the base has 2" in ran.stderr


@pytest.mark.parametrize(
    ("directory", "given", "model"),
    [
        ("Ada_Lovelace-LoRA", [], "ada_lovelace"),
        ("ada/checkpoint-3", [], "ada:checkpoint-3"),
        ("ada", ["bob"], "bob"),
        ("ada", ["--name", "team/bob:v2"], "team/bob:v2"),
        ("ada", ["bob", "--name", "bob"], "bob"),
    ],
)
def test_name(make_adapter, tiny_gguf, directory, given, model):
    """The name is the one given, once or twice alike, else the directory's; a checkpoint becomes a tag."""
    ran = run("build", make_adapter(directory), *given, "--base", tiny_gguf)
    assert (ran.code, ran.stdout) == (0, f"{model}\n")
    assert f"ollama run {model}" in ran.stderr


def test_checkpoint_in_place(make_adapter, tiny_gguf, models, monkeypatch):
    """A checkpoint is named after its run, even where the command is typed inside it."""
    monkeypatch.chdir(make_adapter("ada-lora/checkpoint-30"))
    assert run("build", ".", "--base", tiny_gguf).stdout == "ada:checkpoint-30\n"
    assert model_in(models, "ada", "checkpoint-30")


def test_two_names(ada):
    """Two different names are a wrong usage."""
    before = tree(ada)
    ran = run("build", ada, "bob", "--name", "eve")
    assert (ran.code, ran.stdout, tree(ada)) == (2, "", before)
    assert "bob" in ran.stderr
    assert "eve" in ran.stderr


def test_parameter_form(ada):
    """A parameter without its sign is a wrong usage, told with an example."""
    for text in ("temperature", "=0.3"):
        ran = run("build", ada, "--parameter", text)
        assert (ran.code, ran.stdout) == (2, "")
        assert "temperature=0.3" in ran.stderr


def test_parameter_with_signs(ada, tiny_gguf, models):
    """Only the first sign parts key and value, and stop words add up."""
    run("build", ada, "--base", tiny_gguf, "--parameter", "stop=a=b", "--parameter", "stop= ")
    params = layers_of(model_in(models, "ada"))["params"]
    assert json.loads(blob_in(models, params)) == {"stop": ["a=b", " "]}


def test_template(ada, tiny_gguf, models):
    """A template brings its prompt format and its stop words."""
    run("build", ada, "--base", tiny_gguf, "--template", "chatml")
    layers = layers_of(model_in(models, "ada"))
    assert b"<|im_start|>" in blob_in(models, layers["template"])
    assert "<|im_end|>" in json.loads(blob_in(models, layers["params"]))["stop"]


@pytest.mark.parametrize("via", ["auto", "store", "folder"])
def test_dry_run(ada, tiny_gguf, tmp_path, via):
    """A dry run says what would be moved and in all, and writes nothing anywhere."""
    before = tree(tmp_path, times=True)
    ran = run("build", ada, "--base", tiny_gguf, "--dry-run", "--via", via, "--out", tmp_path / "out")
    assert ran.code == 0
    assert ran.stdout.splitlines()[-1].split("  ")[-1].startswith("at most, to create ada in ")
    assert f"via {'folder' if via == 'folder' else 'store'}" in ran.stderr
    assert tree(tmp_path, times=True) == before


def test_dry_run_tells_sizes(ada, tiny_gguf):
    """The planned size of the GGUF is the size it gets."""
    planned = run("build", ada, "--base", tiny_gguf, "--dry-run", "--json").document
    sizes = {item["what"]: item["bytes"] for item in planned["delivery"]["items"]}
    run("build", ada, "--base", tiny_gguf)
    assert sizes["adapter"] == (ada / "ollama" / "adapter_model.gguf").stat().st_size
    assert planned["delivery"]["bytes"] == sum(sizes.values())
    again = run("build", ada, "--base", tiny_gguf, "--dry-run", "--json").document
    assert (planned["delivery"]["replaces"], again["delivery"]["replaces"]) == (False, True)


@pytest.mark.parametrize(("more", "kind"), [([], "build"), (["--dry-run"], "plan")])
def test_json(ada, tiny_gguf, more, kind):
    """--json prints one document of its kind on stdout and nothing else."""
    ran = run("build", ada, "--base", tiny_gguf, "--json", *more)
    assert ran.code == 0
    assert (ran.document["schema_version"], ran.document["kind"], ran.document["name"]) == (1, kind, "ada")
    assert ran.document["delivery"]["via"] == "store"


def test_json_tells_the_proof(ada, tiny_gguf, models):
    """The document has the digests and the figure of the proof with its limit."""
    document = run("build", ada, "--base", tiny_gguf, "--json").document
    (proof,) = document["proofs"]
    assert proof["passed"]
    assert 0 < proof["figure"] <= proof["limit"]
    assert document["delivery"]["digest"] == f"sha256:{digest_in(models, 'ada')}"
    assert document["lora"]["digest"] == layers_of(model_in(models, "ada"))["adapter"]


def test_quiet(ada, tiny_gguf):
    """With -q there is only the result."""
    assert run("build", ada, "--base", tiny_gguf, "-q").stderr == ""


def test_verbose(ada, tiny_gguf):
    """With -v details are told that are not told without."""
    plain = run("build", ada, "--base", tiny_gguf).stderr
    verbose = run("build", ada, "--base", tiny_gguf, "-v").stderr
    assert "sha256:" not in plain
    assert "sha256:" in verbose
    assert "modules: down_proj ×2" in verbose
    assert len(verbose.splitlines()) > len(plain.splitlines())


def test_nowhere_to_put_it(smol, models):
    """Without daemon and store the files are kept, and the way to register them later is told."""
    ran = run("build", smol)
    assert (ran.code, ran.stdout) == (6, "")
    assert {"adapter_model.gguf", "Modelfile.txt"} <= tree(smol / "ollama").keys()
    assert f"ollama-pack register {smol / 'ollama'} smol" in ran.stderr
    assert "ollama pull smollm2:135m" in ran.stderr
    assert not models.exists()


def test_what_was_told_then_works(smol, models, smol_gguf):
    """Once the base is in the store, the command the failed build named registers the model."""
    told = run("build", smol).stderr
    command = next(line.split() for line in told.splitlines() if "ollama-pack register" in line)
    add_base(models, smol_gguf, "smollm2", "135m")
    ran = run(*command[1:4])
    assert (ran.code, ran.stdout) == (0, "smol\n")
    assert list(layers_of(model_in(models, "smol"))) == ["model", "template", "adapter"]


def test_what_comes_next_can_be_pasted(ada, tiny_gguf, tmp_path):
    """A place with a space in it is quoted in the commands that are told."""
    place = tmp_path / "with space"
    told = run("build", ada, "--base", tiny_gguf, "--via", "folder", "--out", place).stderr
    assert f"ollama-pack register '{place}' ada" in told
    told = run("build", ada, "--base", tiny_gguf, "--via", "store", "--store", place).stderr
    assert f"OLLAMA_MODELS='{place}' ollama serve" in told


def test_default_store_needs_no_variable(ada, tiny_gguf, alone, monkeypatch):
    """In the store every Ollama reads by itself, the model is run with nothing set."""
    monkeypatch.delenv("OLLAMA_MODELS")
    told = run("build", ada, "--base", tiny_gguf, "--via", "store").stderr
    assert model_in(alone / ".ollama" / "models", "ada")
    assert "ollama run ada" in told
    assert "OLLAMA_MODELS" not in told


def test_no_daemon(ada, tiny_gguf):
    """--via create without a daemon fails, and does not go another way by itself."""
    ran = run("build", ada, "--base", tiny_gguf, "--via", "create")
    assert ran.code == 6
    assert "No Ollama daemon answers" in ran.stderr
    assert "http://127.0.0.1:9" in ran.stderr


def test_stages_golden(ada, tiny_gguf, tmp_path, golden):
    """What a build says, line by line, is what a human has read."""
    ran = run("build", ada, "--base", tiny_gguf, "--via", "store")
    golden("cli/build.txt", plain(ran.stderr + ran.stdout, tmp_path))


def test_document_golden(ada, tiny_gguf, tmp_path, golden):
    """The document of a build has the keys and values a human has read."""
    ran = run("build", ada, "--base", tiny_gguf, "--json")
    text = plain(ran.stdout, tmp_path).replace(tiny_gguf.as_posix(), "tiny.gguf")
    golden("cli/build.json", text)


def test_plan_golden(ada, tiny_gguf, tmp_path, golden):
    """What a dry run says is what a human has read."""
    ran = run("build", ada, "--base", tiny_gguf, "--dry-run")
    golden("cli/plan.txt", plain(ran.stderr + ran.stdout, tmp_path))


def plain(text, folder):
    """Return a text without what differs from machine to machine, or with numpy's random numbers."""
    depends = re.compile(r"modelfile |\s+base (cloned|linked) ")  # on the place, and on the file system
    lines = [line for line in text.splitlines() if not depends.match(line)]
    text = "\n".join(lines).replace(folder.as_posix(), "TMP") + "\n"
    text = re.sub(r"[0-9a-f]{64}", "DIGEST", text)
    return re.sub(r'"figure": [0-9.e-]+', '"figure": FIGURE', text)
