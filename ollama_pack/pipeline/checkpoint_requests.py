"""Makes a request for each chosen checkpoint of a training run."""

from dataclasses import replace

from ollama_pack.errors import UsageError
from ollama_pack.ollama.names import DEFAULT_TAG
from ollama_pack.pipeline.naming import model_name
from ollama_pack.pipeline.request import Request
from ollama_pack.run.checkpoints import ALL, choose


def requests_for(request: Request, which: str) -> tuple[Request, ...]:
    """Return one request per chosen checkpoint; each makes the model ``run:checkpoint-N``.

    Args:
        request: a request whose directory is the run; a tag in its name is kept if one checkpoint is chosen.
        which: a step, ``latest``, ``best`` or ``all``.

    Raises:
        InputError: there is no such checkpoint.
        UsageError: the name has a tag, and all checkpoints are chosen.
    """
    chosen = choose(request.directory, which)
    name = model_name(request)
    if name.tag != DEFAULT_TAG and which == ALL:
        raise UsageError(
            f"The name {name} has a tag, but each checkpoint gets its own tag.",
            hint=f"use the name {name.model}",
            code="bad-name",
        )
    return tuple(
        replace(
            request,
            directory=each.directory,
            name=str(name if name.tag != DEFAULT_TAG else replace(name, tag=each.name.lower())),
            out=request.out and (request.out / each.name if which == ALL else request.out),
        )
        for each in chosen
    )
