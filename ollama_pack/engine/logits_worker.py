"""A process that writes the logits after each token of a text: ``logits_worker.py LIBRARY MODEL [LORA]``.

It needs the standard library only, and calls llama.cpp by ctypes: the functions of the two libraries that
wrap it are the same, and of their structures only the first fields are named, which every version has. The
text is read from stdin. The number of tokens and the size of the vocabulary go to stdout, then float32
logits, one row for each token. What llama.cpp logs as an error goes to stderr.
"""

import ctypes
import os
import struct
import sys

LOGITS_HEAD = struct.Struct("<ii")
PIECE_TOKENS = 512
"""The number of tokens in a context; a longer text is read in pieces, each with an empty context."""

_LEVEL_OF_ERRORS = 4
_POINTER = ctypes.c_void_p


class Parameters(ctypes.Structure):
    """Any structure of parameters: its beginning as integers, and room for the rest."""

    _fields_ = (("first", ctypes.c_uint32 * 3), ("rest", ctypes.c_char * 1012))


class Batch(ctypes.Structure):
    """``llama_batch``."""

    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", _POINTER),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


def declare(llama: ctypes.CDLL) -> None:
    """Declare to ctypes what llama.cpp's functions take and return."""
    results = {
        "llama_model_default_params": Parameters,
        "llama_context_default_params": Parameters,
        "llama_model_load_from_file": _POINTER,
        "llama_init_from_model": _POINTER,
        "llama_model_get_vocab": _POINTER,
        "llama_adapter_lora_init": _POINTER,
        "llama_batch_init": Batch,
        "llama_get_logits": _POINTER,
        "llama_free": None,
        "llama_batch_free": None,
    }
    takes = {
        "llama_model_load_from_file": (ctypes.c_char_p, Parameters),
        "llama_init_from_model": (_POINTER, Parameters),
        "llama_model_get_vocab": (_POINTER,),
        "llama_vocab_n_tokens": (_POINTER,),
        "llama_adapter_lora_init": (_POINTER, ctypes.c_char_p),
        "llama_set_adapters_lora": (_POINTER, _POINTER, ctypes.c_size_t, _POINTER),
        "llama_tokenize": (
            *(_POINTER, ctypes.c_char_p, ctypes.c_int32, _POINTER, ctypes.c_int32),
            *(ctypes.c_bool, ctypes.c_bool),
        ),
        "llama_decode": (_POINTER, Batch),
        "llama_get_logits": (_POINTER,),
        "llama_free": (_POINTER,),
        "llama_batch_free": (Batch,),
    }
    for name, result in results.items():
        getattr(llama, name).restype = result
    for name, arguments in takes.items():
        getattr(llama, name).argtypes = arguments


def tokens_of(llama: ctypes.CDLL, vocabulary: int, text: bytes) -> list[int]:
    """Return the tokens of a text, with the begin of text where the model has one."""
    room = (ctypes.c_int32 * (len(text) + 8))()
    count = llama.llama_tokenize(vocabulary, text, len(text), room, len(room), True, True)
    return list(room[: max(count, 0)])


def fill(batch: Batch, tokens: list[int]) -> None:
    """Put tokens into a batch, and ask for the logits of each."""
    batch.n_tokens = len(tokens)
    for place, token in enumerate(tokens):
        batch.token[place], batch.pos[place], batch.logits[place] = token, place, 1
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0


def tell(library: str, model_file: str, adapter_file: str = "") -> None:
    """Write the logits after each token of stdin to stdout.

    Raises:
        OSError: the library or a file cannot be loaded.
        AttributeError: the library lacks a function.
    """
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the logits
    os.environ["GGML_NO_BACKTRACE"] = "1"
    llama = ctypes.CDLL(library)
    report = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, _POINTER)
    said = report(lambda level, text, _: level == _LEVEL_OF_ERRORS and sys.stderr.buffer.write(text))
    llama.llama_log_set(said, None)
    declare(llama)
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(model_file.encode(), llama.llama_model_default_params())
    adapter = llama.llama_adapter_lora_init(model, adapter_file.encode()) if model and adapter_file else None
    if not model or (adapter_file and not adapter):
        raise OSError(f"llama.cpp does not load {adapter_file if model else model_file}")
    vocabulary = llama.llama_model_get_vocab(model)
    size = llama.llama_vocab_n_tokens(vocabulary)
    tokens = tokens_of(llama, vocabulary, sys.stdin.buffer.read())
    out.write(LOGITS_HEAD.pack(len(tokens), size))
    settings = llama.llama_context_default_params()
    settings.first[:] = [PIECE_TOKENS] * 3  # the context, and both batches
    batch = llama.llama_batch_init(PIECE_TOKENS, 0, 1)
    for start in range(0, len(tokens), PIECE_TOKENS):
        piece = tokens[start : start + PIECE_TOKENS]
        context = llama.llama_init_from_model(model, settings)
        if adapter:
            one = (_POINTER * 1)(adapter)
            llama.llama_set_adapters_lora(context, one, 1, (ctypes.c_float * 1)(1.0))
        fill(batch, piece)
        if not context or llama.llama_decode(context, batch):
            raise OSError("llama.cpp cannot compute the text")
        out.write(ctypes.string_at(llama.llama_get_logits(context), 4 * size * len(piece)))
        llama.llama_free(context)
    out.flush()


if __name__ == "__main__":
    try:
        tell(*sys.argv[1:])
    except (OSError, AttributeError) as error:
        sys.exit(str(error))
