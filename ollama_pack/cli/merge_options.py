"""Defines the options that say how a merged file is written, and what it must keep."""

import click

from ollama_pack.cli.option_values import byte_count
from ollama_pack.cli.options import combine
from ollama_pack.cli.path_types import FILE
from ollama_pack.pipeline.request import MERGE_TYPE_CHOICES

MERGING = ("merge_type", "merge_size", "imatrix", "kept_on", "min_kept")
"""The parameters that the options of `merging` add to a command."""

merging = combine(
    click.option(
        "--merge-type",
        type=click.Choice(MERGE_TYPE_CHOICES),
        metavar="TYPE",
        default="auto",
        show_default=True,
        help="Type of the weights that change, and of no others. auto: that of the base, or q8_0 if the base "
        "is quantised. "
        "q6_k, q5_k: with the extra try or llama; rows that are not a multiple of 256 become q8_0. "
        "same: that of the base, which adds noise in types of 4 to 6 bits. Also f16, bf16, f32. q4_k_m and "
        "the other mixtures of llama.cpp: the whole file, quantised after the merge.",
    ),
    click.option(
        "--merge-size",
        callback=byte_count,
        default=None,
        metavar="SIZE",
        help="Largest size of the merged file, as in 4.4GB. Each weight that changes gets a type such that "
        "the file keeps as much of the change as that size allows.",
    ),
    click.option(
        "--imatrix",
        type=FILE,
        default=None,
        metavar="FILE",
        help="Importance matrix for a type that the whole file is quantised to.",
    ),
    click.option(
        "--kept-on",
        type=FILE,
        default=None,
        metavar="FILE",
        help="Text on which llama.cpp compares the merged model with the base and its adapter.",
    ),
    click.option(
        "--min-kept",
        type=click.FloatRange(0, 1),
        default=None,
        metavar="SHARE",
        help="Smallest share of the change of a weight that the file must keep.  [default: 0.9]",
    ),
)
