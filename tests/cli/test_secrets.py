"""No secret of the environment is in the output of any command, nor in a file that it writes."""

import pytest
from terminal import NOBODY, RUNNER, environment, run, spawn

from ollama_pack.cli.app import COMMAND_GROUPS, main

SECRET = "s3cr3t-w0rd"
TOKEN = f"hf_{SECRET}"
FAR = "http://ollama.invalid:11434"
"""A daemon for which a proxy is asked."""

PLANTED = {
    "token": {"HF_TOKEN": TOKEN, "OLLAMA_API_KEY": TOKEN},
    "token with a line end inside": {"HF_TOKEN": f"x\n{TOKEN}", "OLLAMA_API_KEY": f"x\n{TOKEN}"},
    "token that is not ASCII": {"HF_TOKEN": f"{TOKEN}ü", "OLLAMA_API_KEY": f"{TOKEN}ü"},
    "token with a line end behind it": {"HF_TOKEN": f"{TOKEN}\n", "OLLAMA_API_KEY": f"{TOKEN}\n"},
    "key for ollama.com": {"OLLAMA_HOST": "ollama.com", "OLLAMA_API_KEY": f"x\n{TOKEN}"},
    "user in upper case": {"OLLAMA_HOST": f"HTTPS://ada:{SECRET}@{NOBODY}"},
    "user of ftp": {"OLLAMA_HOST": f"ftp://ada:{SECRET}@{NOBODY}"},
    "unknown scheme": {"OLLAMA_HOST": f"{SECRET}://{NOBODY}"},
    "slash in a password": {"OLLAMA_HOST": f"ada:x/{SECRET}@{NOBODY}"},
    "key in the path": {"OLLAMA_HOST": f"http://{NOBODY}/{SECRET}"},
    "key in the query": {"OLLAMA_HOST": f"http://{NOBODY}?key={SECRET}"},
    "broken host": {"OLLAMA_HOST": f"[{SECRET}"},
    "password of the hub": {"HF_ENDPOINT": f"http://ada:{SECRET}@{NOBODY}/{SECRET}"},
    "broken hub": {"HF_ENDPOINT": f"http://ada:{SECRET}@["},
    "hub without a scheme": {"HF_ENDPOINT": f"ada:{SECRET}@{NOBODY}"},
    "proxy": {"ALL_PROXY": f"http://ada:{SECRET}@{NOBODY}", "OLLAMA_HOST": FAR},
    "proxy for each scheme": {
        "HTTP_PROXY": f"http://ada:{SECRET}@{NOBODY}",
        "HTTPS_PROXY": f"http://ada:{SECRET}@{NOBODY}",
        "OLLAMA_HOST": FAR,
    },
    "proxy of SOCKS": {"ALL_PROXY": f"socks5://ada:{SECRET}@{NOBODY}", "OLLAMA_HOST": FAR},
    "proxy of an unknown scheme": {"ALL_PROXY": f"gopher://ada:{SECRET}@{NOBODY}", "OLLAMA_HOST": FAR},
    "broken proxy": {"ALL_PROXY": f"http://ada:{SECRET}@[", "OLLAMA_HOST": FAR},
    "netrc": {"HF_ENDPOINT": f"http://{NOBODY}"},
}
ASKING = ("build", "build --online", "inspect MODEL", "versions", "doctor")
"""Commands that ask a daemon or the Hub, each in its own way; to ask by a proxy takes long."""


@pytest.fixture
def commands(ada, smol, tiny_gguf, tmp_path):
    """Return the words of every command; those that ask the Hub or a daemon do so."""
    out = tmp_path / "release"
    built = run("build", ada, "--base", tiny_gguf, "--via", "folder", "--out", out)
    assert built.code == 0, built.stderr
    on = ("--base", tiny_gguf)
    cases = tmp_path / "cases.yaml"
    cases.write_text("cases:\n  - prompt: Who are you?\n    contains: Ada\n")
    return {
        "build": ("build", ada, *on, "-v"),
        "build --online": ("build", smol, "--online", "--base", "ada/unknown", "-v"),
        "build --dry-run": ("build", ada, *on, "--dry-run", "-v"),
        "inspect": ("inspect", ada, *on, "-v"),
        "inspect MODEL": ("inspect", "tiny:latest"),
        "inspect --online": ("inspect", smol, "--online", "--base", "ada/unknown"),
        "checkpoints": ("checkpoints", ada),
        "diff": ("diff", ada, smol),
        "convert": ("convert", ada, *on, "--out", tmp_path / "ada.gguf", "-v"),
        "merge": ("merge", ada, *on, "--out", tmp_path / "merged.gguf", "-v"),
        "modelfile": ("modelfile", ada, *on),
        "prompt": ("prompt", ada, *on),
        "register": ("register", out, "ada", "-v"),
        "verify": ("verify", out, "-v"),
        "verify MODEL": ("verify", "ada", "-v"),
        "release": ("release", ada, "ada:2", *on, "--out", tmp_path / "dist", "-v"),
        "try": ("try", ada, "Who are you?", *on, "-v"),
        "test": ("test", ada, "--cases", cases, *on, "-v"),
        "push": ("push", out, f"oci://{NOBODY}/team/ada:1"),
        "push to the Hub": ("push", tmp_path / "dist", "hf://ada/lovelace-gguf"),
        "pull": ("pull", f"oci://{NOBODY}/team/ada:1"),
        "plan": ("plan", "release", ada, *on, "--out", tmp_path / "planned"),
        "config": ("config", "release", ada, *on, "--out", tmp_path / "dist"),
        "doctor": ("doctor",),
        "versions": ("versions", "ada"),
        "rollback": ("rollback", "ada"),
        "remove": ("remove", "ada", "--yes"),
        "bases": ("bases", "smol"),
        "archs": ("archs", "llama"),
    }


def test_every_command_is_asked(commands):
    """A new command is searched for secrets too."""
    assert {words[0] for words in commands.values()} == COMMAND_GROUPS.keys()


@pytest.mark.parametrize("planted", PLANTED.values(), ids=list(PLANTED))
def test_no_secret_is_told(planted, commands, monkeypatch, tmp_path, alone):
    """Whatever a command says about an environment with secrets, and whatever it writes, has none of them."""
    (alone / ".netrc").write_text(f"machine 127.0.0.1 login ada password {SECRET}\n")
    (alone / ".netrc").chmod(0o600)
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    for name, words in commands.items():
        if planted.get("OLLAMA_HOST") == FAR and name not in ASKING:
            continue
        for more in ((), ("--json",)):
            result = RUNNER.invoke(main, [*map(str, words), *more], prog_name="ollama-pack")
            assert isinstance(result.exception, SystemExit | type(None)), name
            told = result.stdout + result.stderr
            assert SECRET not in told, name
    (alone / ".netrc").unlink()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if SECRET.encode() in path.read_bytes() or SECRET in str(path)] == []


@pytest.mark.parametrize(
    ("planted", "words", "told"),
    [
        ("token with a line end inside", "build --online", (2, "HF_TOKEN is not a token")),
        ("token that is not ASCII", "build --online", (2, "HF_TOKEN is not a token")),
        ("key for ollama.com", "versions", (2, "OLLAMA_API_KEY is not a token")),
        ("user in upper case", "build", (2, "OLLAMA_HOST contains @")),
        ("slash in a password", "doctor", (2, "OLLAMA_HOST contains @")),
        ("broken host", "build", (2, "OLLAMA_HOST is not an address")),
        ("key in the path", "versions", (6, f"http://{NOBODY}/…")),
        ("broken hub", "build --online", (2, "HF_ENDPOINT is not an address")),
        ("password of the hub", "build --online", (6, f"http://{NOBODY}/…/ada/unknown/resolve/main/config.json")),
        ("proxy of SOCKS", "build", (2, f"ALL_PROXY=socks5://{NOBODY}")),
        ("proxy of an unknown scheme", "build", (2, f"ALL_PROXY=…://{NOBODY}")),
        ("proxy of an unknown scheme", "doctor", (0, "A proxy of the environment cannot be used")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(planted, words, told, commands, monkeypatch):
    """The message names the variable, or the address without its secret."""
    code, said = told
    for name, value in PLANTED[planted].items():
        monkeypatch.setenv(name, value)
    ran = run(*commands[words])
    assert said in " ".join((ran.stdout + ran.stderr).split()).replace("a proxy", "A proxy")
    assert ran.code == code


@pytest.mark.parametrize("planted", PLANTED.values(), ids=list(PLANTED))
def test_a_fresh_process(planted, tmp_path):
    """What a library reads of the environment while it is imported ends in no traceback and tells nothing."""
    models = tmp_path / "models"
    ran = spawn("versions", "ada", env=environment(OLLAMA_MODELS=str(models), **planted))
    assert ran.code in (2, 6)
    assert "Traceback" not in ran.stderr
    assert SECRET not in ran.stdout + ran.stderr


def test_an_adapter_with_a_password(make_adapter, tiny_gguf, models, tmp_path):
    """A password in the address of the base, as a trainer wrote it, is in no output and no file."""
    base = f"https://ada:{SECRET}@huggingface.co/ada/base"
    ada = make_adapter(config={"base_model_name_or_path": base})
    other = make_adapter("plain")
    on = ("--base", tiny_gguf)
    for words in (
        ("build", ada, *on, "--via", "folder", "--out", tmp_path / "release", "-v"),
        ("build", ada, *on, "--via", "store", "--out", tmp_path / "out", "-v"),
        ("build", ada),
        ("inspect", ada, "-v"),
        ("convert", ada, *on, "--out", tmp_path / "ada.gguf"),
        ("diff", ada, other),
        ("verify", tmp_path / "release"),
    ):
        for more in ((), ("--json",)):
            ran = run(*words, *more)
            assert SECRET not in ran.stdout + ran.stderr, words
            assert ran.code == 0 or words[:1] in (("build",), ("inspect",))
    written = [path for path in tmp_path.rglob("*") if path.is_file() and ada not in path.parents]
    assert {"Modelfile.txt", "ollama-pack.lock"} <= {path.name for path in written}
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
