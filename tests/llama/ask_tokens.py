"""Ask a prebuilt build of llama.cpp how it divides texts into tokens: a process of its own.

Called as ``python ask_tokens.py JOB.json``. The job names the directory of the build, a model, texts and a
file for the answer: for each text the ids of its tokens. Nothing here imports ollama_pack.
"""

import http.client
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit


def main() -> None:
    """Answer one job."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.path.insert(0, job["library"])
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = job["model"]
    settings.n_ctx, settings.n_parallel, settings.cache_ram_mib = 64, 1, 0
    settings.warmup = settings.ui = False
    server = xllamacpp.Server(settings)
    place = urlsplit(server.listening_address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    answers = []
    for text in job["texts"]:
        asked = {"content": text, "add_special": False, "parse_special": True}
        connection.request("POST", "/tokenize", json.dumps(asked), {"Content-Type": "application/json"})
        answers.append(json.loads(connection.getresponse().read())["tokens"])
    Path(job["answers"]).write_text(json.dumps(answers), "utf-8")
    os._exit(0)  # a server that is shut down right after its start may wait for itself forever


if __name__ == "__main__":
    main()
