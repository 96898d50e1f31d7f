"""Texts in a language of their own: Modelfiles, names, and the templates of Go and of Jinja."""

import json
from datetime import date, datetime
from pathlib import Path

from adapter_targets import GOLDENS, as_seeds, in_folder
from target import Target

from ollama_pack.base.spelling import name_key, names_in_path
from ollama_pack.chat.go_prompt import read_go_prompt
from ollama_pack.chat.renderer import ChatRenderer, ConversationRefusedError
from ollama_pack.chat.trained import ChatTemplate, Conversation
from ollama_pack.disk.toml_file import read_toml
from ollama_pack.errors import InputError, fold_numbered_names, natural_key, one_line
from ollama_pack.modelfile.file import read_modelfile
from ollama_pack.modelfile.parser import command_problems, parameters
from ollama_pack.modelfile.syntax import print_modelfile
from ollama_pack.modelfile.template import (
    Template,
    TemplateFields,
    compose_modelfile,
    fill_template,
    find_template,
    template_names,
)
from ollama_pack.modelfile.template_check import template_problems
from ollama_pack.ollama.names import parse_name, typed_name
from ollama_pack.pipeline.lock import placed_sizes, read_lock
from ollama_pack.pipeline.release.evidence import record_of_folder
from ollama_pack.pipeline.release.policy import read_policy

MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
COMMANDS = (
    "FROM ",
    "ADAPTER ",
    "TEMPLATE ",
    "SYSTEM ",
    "PARAMETER stop ",
    "PARAMETER num_ctx ",
    "MESSAGE user ",
    "LICENSE ",
    '"""',
    '"',
    "\n",
    "\r\n",
    "# c\n",
    "{{ .Prompt }}",
    "{{ if .System }}",
    "{{ end }}",
)
GO = (
    "{{ ",
    " }}",
    "{{- ",
    " -}}",
    "range ",
    "if ",
    "with ",
    "else ",
    "end ",
    ".Messages ",
    ".System ",
    ".Prompt ",
    "$x := ",
    "$ ",
    "| ",
    "(",
    ")",
    "eq ",
    "len ",
    "index ",
    "slice ",
    "printf ",
    '"%s%9d"',
    "0 ",
    "1 ",
    "9223372036854775807 ",
    "define ",
    "template ",
    '"a" ',
    "and ",
    "not ",
    "break ",
    "json ",
    "text",
    "{{ end }}",
    "{{ .Content }}",
    "{{/*",
    "*/}}",
)
JINJA = (
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "for m in messages ",
    "endfor ",
    "if ",
    "endif ",
    "else ",
    "m.content ",
    "m['role'] ",
    "range(10**10) ",
    "'a'*10**10 ",
    "'%9999999999d'|format(1) ",
    "messages|dictsort ",
    "{'a b':1}|xmlattr ",
    "set x = ",
    "x ",
    "|join ",
    "|tojson ",
    "|length ",
    "loop.index ",
    "raise_exception('x') ",
    "namespace() ",
    "macro f(a) ",
    "endmacro ",
    "f(1) ",
    "generation ",
    "endgeneration ",
    "strftime_now('%Y') ",
    "[::-1] ",
    "1/0 ",
    "~ ",
    "text",
)
LOCK = {
    "schema_version": 2,
    "adapter": {"gguf": f"sha256:{'a' * 64}", "sources": [{"adapter_config.json": "sha256:x"}]},
    "base": {
        "architecture": "llama",
        "tag": "x",
        "sizes": {
            "blocks": 2,
            "heads": 4,
            "kv_heads": 2,
            "head_dim": 8,
            "hidden": 32,
            "ssm": {},
            "heads_per_layer": [[1, 2]],
        },
    },
    "modelfile": "sha256:y",
    "manifest": "sha256:z",
}
TOML = (
    "[signature]\n",
    "[base]\n",
    "keys = ",
    "[",
    "]",
    '"a"',
    '"""',
    "\n",
    ", ",
    "{ a = 1 }",
    "1",
    "a.b.",
    "#",
)
renderer = ChatRenderer(datetime(2026, 1, 2), slowest=3.0)


def read_modelfile_in(place: Path) -> None:
    """Read a Modelfile.txt, look at it, and complete it."""
    modelfile = read_modelfile(place)
    assert modelfile is not None
    command_problems(modelfile)
    parameters(modelfile)
    assert print_modelfile(modelfile).encode() or not modelfile.entries
    compose_modelfile(
        modelfile, Template("t", "t", "FROM [[ base ]]"), TemplateFields(base="x", adapter="./a.gguf")
    )


def read_tables(place: Path) -> None:
    """Read a policy, and find the line of each table."""
    file = read_toml(place / "policy.toml")
    assert all(file.where(key) for key in list(file.content)[:3])
    read_policy(place / "policy.toml")


def tables_of_toml() -> list[bytes]:
    """Return a policy."""
    return [
        b'[signature]\nkeys = ["a.pem"]\n[base]\nmodels = [\n"tiny:1m",\n]\n[proofs]\nrequired = ["base"]\n'
    ]


def read_names(content: bytes, _place: Path) -> None:
    """Read a text as every kind of name."""
    text = content.decode("utf-8", "surrogateescape")
    name_key(text)
    names_in_path(text)
    natural_key(text)
    one_line(text)
    fold_numbered_names([*text.split(), text])
    for read in (parse_name, typed_name):
        try:
            read(text)
        except InputError as error:
            str(error)


def read_go(content: bytes, _place: Path) -> None:
    """Check a Go template, and fill it."""
    text = content.decode("utf-8", "replace")
    list(template_problems(text))
    read_go_prompt(text).fill(MESSAGES, today=date(2026, 1, 2))


def read_jinja(content: bytes, place: Path) -> None:
    """Fill a chat template."""
    try:
        template = ChatTemplate(
            content.decode("utf-8", "replace"), {"bos_token": "<s>"}, str(place / "x.jinja")
        )
        renderer.render(template, Conversation("x", MESSAGES))
    except ConversationRefusedError as error:
        assert len(str(error)) < 1 << 20


def read_locks(place: Path) -> None:
    """Read the lock of a folder."""
    placed_sizes(read_lock(place))
    record_of_folder(place)


def modelfiles() -> list[bytes]:
    texts = [
        TemplateFields(
            base="x", adapter="./a.gguf", system='a\n"b"', parameters=(("stop", "c"), ("top_k", "3"))
        )
    ]
    made = [fill_template(find_template(name), each) for name in template_names() for each in texts]
    return [text.encode() for text in made] + [
        b'FROM x\nMESSAGE user hi\nLICENSE """a\nb"""\nREQUIRES 0.14.0\n'
    ]


def go_templates() -> list[bytes]:
    cases = json.loads((GOLDENS / "go-templates.json").read_text("utf-8"))
    return [each["template"].encode() for each in cases if each["out"]] + [
        text for text in modelfiles() if b"{{" in text
    ]


def jinja_templates() -> list[bytes]:
    example = Path(__file__).parents[2] / "examples" / "ada-lovelace-lora" / "chat_template.jinja"
    loops = (
        "{% for m in messages %}{{ m['role'] ~ ': ' ~ m['content'] | trim }}"
        "{% if not loop.last %}\n{% endif %}{% endfor %}"
    )
    return [
        example.read_bytes(),
        loops.encode(),
        b"{% macro f(x) %}{{ x | tojson }}{% endmacro %}{{ f(messages) }}",
    ]


TEXT_TARGETS = (
    Target("Modelfile", in_folder("Modelfile.txt", read_modelfile_in), modelfiles, COMMANDS),
    Target(
        "names",
        read_names,
        lambda: [
            b"smollm2:135m",
            b"hf.co/me/mine-GGUF:Q4_K_M",
            b"registry.ollama.ai/library/ada:latest",
            b"C:\\models\\snapshots\\meta-llama--Llama-3.2-1B-bnb-4bit",
        ],
        ("/", ":", ".", "-", "\\", "hf.co", "~", "@", "a" * 90),
    ),
    Target("Go templates", read_go, go_templates, GO),
    Target("Jinja templates", read_jinja, jinja_templates, JINJA, share=0.5),
    Target("TOML", in_folder("policy.toml", read_tables), tables_of_toml, TOML, share=0.5),
    Target(
        "lock file",
        in_folder("ollama-pack.lock", read_locks),
        as_seeds(LOCK),
        ("adapter", "base", "modelfile", "manifest", "merged", "sizes", "sources", "gguf"),
        is_json=True,
    ),
)
