"""The delivery ``folder``: writes everything into a folder, for a machine that has no Ollama yet.

The folder gets the GGUF LoRA file or the merged model, and ``Modelfile.txt`` for ``ollama create -f``. If the
base's layers are known, it also gets ``ollama-config.json`` and ``ollama-manifest.json``, with the bytes a
store would hold.
"""

from pathlib import Path

from ollama_pack.deliver import store as store_destination
from ollama_pack.deliver.package import DeliveryPlan, Package, Receipt
from ollama_pack.disk.files import Progress, copy_whole, os_errors_as_destination_error, whole_file
from ollama_pack.modelfile import MODELFILE_NAME
from ollama_pack.ollama.manifest import MODEL_TYPE, Image

FOLDER = "folder"
CONFIG = "ollama-config.json"
MANIFEST = "ollama-manifest.json"


def write_folder(
    package: Package, folder: Path, *, store: Path | None = None, progress: Progress | None = None
) -> Receipt:
    """Write `package` into `folder`, the manifest last; replace earlier files of the same names.

    Args:
        package: the model.
        folder: the folder, which is made if it does not exist.
        store: the store that has the base's layers; without it no manifest is written.
        progress: called while bytes are written.

    Raises:
        DestinationError: the folder cannot be written.
    """
    image = _image(package, store, progress)
    with os_errors_as_destination_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if image is None:
        _clear(folder)
    written = copy_whole(package.file, folder / package.file.name, progress)
    for name, content in _texts(package, image):
        written += _write(folder / name, content)
    left_out = f"{MANIFEST} was not written: the layers of {package.base.tag} are not known here"
    return Receipt(
        via=FOLDER,
        name=str(package.name),
        digest=image.digest if image else "",
        where=str(folder),
        bytes_written=written,
        lines=(
            f"wrote {package.name} to {folder}",
            *(() if image else (left_out,)),
            *_ollama_create_note(package),
        ),
        base_blob=next(
            (layer.digest for layer in (image.layers if image else ()) if layer.media_type == MODEL_TYPE), ""
        ),
    )


def plan_folder(package: Package, folder: Path, *, store: Path | None = None) -> DeliveryPlan:
    """Return what `write_folder` would write.

    With a GGUF base, the configuration and the manifest are not counted: their digests need the whole file.

    Raises:
        DestinationError: the base in `store` is damaged.
    """
    image = None if package.base.gguf else _image(package, store, None)
    made = folder / package.file.name
    size = package.adapter.size if package.adapter else package.base_size
    items = [(made.name, 0 if made.exists() else size)]
    items += [(name, len(content)) for name, content in _texts(package, image)]
    return DeliveryPlan(
        FOLDER, str(package.name), str(folder), tuple(items), (folder / MODELFILE_NAME).exists()
    )


def _ollama_create_note(package: Package) -> list[str]:
    """Return a warning if ``ollama create -f`` would make another model than ``register``."""
    if not package.removed or package.base.gguf is not None:
        return []
    kept = " and ".join(name.upper() for name in package.removed)
    return [
        f"ollama create -f would keep the {kept} of {package.base.tag}, if it has one; register removes it"
    ]


def _image(package: Package, store: Path | None, progress: Progress | None) -> Image | None:
    """Return the image of the model, or None if the layers of its base are not known here."""
    known = package.base.gguf is not None or (
        store is not None and store_destination.has_base(store, package.base)
    )
    return store_destination.make_image(package, store, progress) if known else None


def _texts(package: Package, image: Image | None) -> list[tuple[str, bytes]]:
    """Return the name and the content of each text file of the folder."""
    texts = [(MODELFILE_NAME, package.modelfile_text.encode())] if package.modelfile_text else []
    if image is not None:
        texts += [(CONFIG, image.config.content or b""), (MANIFEST, image.manifest)]
    return texts


def _clear(folder: Path) -> None:
    """Remove the manifest and configuration of an earlier build, which may describe another base."""
    for name in (MANIFEST, CONFIG):
        with os_errors_as_destination_error(folder / name):
            (folder / name).unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> int:
    """Write a file unless it has that content already, and return the number of bytes written."""
    with os_errors_as_destination_error(path):
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            return 0
    with whole_file(path) as file:
        file.write(content)
    return len(content)
