"""What laws are tested on: adapters, bases and numbers of any size that a test can bear."""

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers
from recipes import ALL_LINEAR, TINY, Recipe, resized, write_adapter

from ollama_pack.lora.peft.load import read_adapter

dtypes = st.sampled_from(["F32", "F16", "BF16"])
outtypes = st.sampled_from(["f16", "f32"])
alphas = st.one_of(st.integers(1, 256), st.floats(0.01, 300))

bases = st.builds(
    lambda heads, groups, half, hidden, forward, arch: resized(
        TINY,
        arch=arch,
        heads=heads * groups,
        kv_heads=heads,
        head_dim=2 * half,
        hidden=hidden,
        feed_forward=forward,
    ),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 24),
    st.integers(1, 30),
    st.sampled_from(["llama", "qwen2"]),
)

configs = st.fixed_dictionaries(
    {},
    optional={
        "use_rslora": st.booleans(),
        "alpha_pattern": st.dictionaries(st.sampled_from(ALL_LINEAR), alphas, max_size=4),
    },
)

recipes = st.builds(
    Recipe,
    modules=st.lists(st.sampled_from(ALL_LINEAR), min_size=1, unique=True).map(tuple),
    layers=st.sampled_from([(0,), (1,), (0, 1)]),
    rank=st.integers(1, 6),
    alpha=alphas,
    dtype=dtypes,
    base=bases,
    seed=st.integers(0, 2**32),
    config=configs,
)

halves = st.floats(width=32, min_value=-60000, max_value=60000, allow_nan=False)
"""Numbers that f16 holds after rounding."""

matrices = numbers.arrays(
    np.float32, numbers.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=halves
)


@contextmanager
def written(recipe: Recipe):
    """Yield an empty directory, and in it the adapter of a recipe, read."""
    with TemporaryDirectory() as directory:
        yield Path(directory), read_adapter(write_adapter(Path(directory) / "ada", recipe))
