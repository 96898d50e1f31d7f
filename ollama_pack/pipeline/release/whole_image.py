"""Finds the whole image of a model with all blobs of its base, as a registry needs it for ``ollama pull``."""

import os

from ollama_pack.deliver.choose_store import store_with_base
from ollama_pack.deliver.package import Package
from ollama_pack.deliver.store import make_image
from ollama_pack.disk.files import Progress
from ollama_pack.errors import DestinationError
from ollama_pack.ollama.choose_models import models_at
from ollama_pack.ollama.daemon_store import with_daemon_store_first
from ollama_pack.ollama.locations import locations_from
from ollama_pack.ollama.manifest import Image
from ollama_pack.ollama.models import find_model, no_such_model
from ollama_pack.ollama.names import ModelName, parse_name
from ollama_pack.ollama.store import stored_image
from ollama_pack.ollama.store_layout import blob_path
from ollama_pack.pipeline.output_dir import built_folder
from ollama_pack.pipeline.proof_rows import prove_base_of
from ollama_pack.pipeline.release.evidence import readable_store, record_of_folder
from ollama_pack.pipeline.request import Request


def images_with_base(package: Package, request: Request, progress: Progress | None) -> tuple[Image, Image]:
    """Return the image of a model with every blob of its base, and the image of that base.

    Args:
        package: the model, whose base is an Ollama model.
        request: what the user asks for; its directory has the lock of the build, and it may name the store.
        progress: called while blobs are read.

    Raises:
        DestinationError: no store that can be read here has the base.
        ProofError: the base is not the one of the build.
    """
    folder = built_folder(request.directory)
    locations = with_daemon_store_first(locations_from(os.environ, folder, request.store))
    store = store_with_base(package, locations)
    if store is None:
        raise DestinationError(
            f"No store that can be read from here has the base {package.base.tag}, so it cannot be sent.",
            where=", ".join(map(str, locations.stores)),
            hint="OLLAMA_MODELS=DIR, the store of the daemon; or push without --with-base",
            code="base-not-here",
        )
    prove_base_of(
        package, record_of_folder(folder), locations._replace(stores=(store,), named=True), progress
    )
    image = make_image(package, store, progress)
    layers = tuple(
        each if each.content is not None or each.file else each._replace(file=blob_path(store, each.digest))
        for each in image.layers
    )
    return image._replace(layers=layers), stored_image(store, parse_name(package.base.tag))


def image_of_installed(name: ModelName, request: Request) -> Image:
    """Return an installed model, as the store of the daemon or of this machine has it.

    Raises:
        UsageError: there is no such model.
        DestinationError: there is neither a daemon nor a store, or the blobs cannot be read from here.
    """
    locations = locations_from(os.environ, None, request.store)
    with models_at(locations, name) as models:
        if find_model(models, name) is None:
            raise no_such_model(models, name)
        store = readable_store(models, locations)
    return stored_image(store, name)
