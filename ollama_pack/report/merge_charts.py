"""Draws what a merged file keeps of the change, weight by weight, and what other sizes would keep."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ollama_pack.disk.files import megabytes
from ollama_pack.errors import natural_key, one_line
from ollama_pack.merge.frontier import SizeFrontier
from ollama_pack.report.drawing import (
    INK_COLOUR,
    SERIES,
    as_svg,
    drawing_style,
    layer_label,
    new_figure,
    put_legend,
)
from ollama_pack.verify.kept import KeptChange

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLOCK = re.compile(r"blk\.(\d+)\.(.+)")


def draw_kept(weights: Sequence[KeptChange], least: float) -> str:
    """Return an SVG drawing of gain and cosine by layer, with a curve for each kind of weight.

    Args:
        weights: the figures of each weight.
        least: the gain that a weight must have, which is drawn as a line.
    """
    kinds: dict[str, list[tuple[int, KeptChange]]] = {}
    for each in weights:
        kind, layer = kind_and_layer(each.tensor)
        kinds.setdefault(kind, []).append((layer, each))
    layers = sorted({layer for found in kinds.values() for layer, _ in found})
    with drawing_style():
        figure = new_figure(4.4)
        upper, lower = figure.subplots(2, 1, sharex=True)
        for number, kind in enumerate(sorted(kinds, key=natural_key)):
            found = sorted(kinds[kind], key=lambda pair: pair[0])
            places = [layers.index(layer) for layer, _ in found]
            line = ("-", "--", "-.", ":")[number // len(SERIES) % 4]
            how: Any = {
                "color": SERIES[number % len(SERIES)],
                "marker": "o",
                "markersize": 3,
                "linestyle": line,
            }
            upper.plot(places, [100 * each.gain for _, each in found], label=one_line(kind), **how)
            lower.plot(places, [each.cosine for _, each in found], **how)
        upper.axhline(100 * least, color=INK_COLOUR, linewidth=0.9, linestyle=":", label="limit")
        upper.set_ylabel("kept, % of ΔW")
        lower.set_ylabel("cosine with ΔW")
        for axes in (upper, lower):
            axes.grid(axis="y")
        _with_room(upper, 1.0)
        _with_room(lower, 0.002)
        every = max(1, len(layers) // 16)
        shown = range(0, len(layers), every)
        lower.set_xticks(list(shown), [layer_label(layers[place]) for place in shown])
        lower.set_xlabel("layer")
        put_legend(figure, upper)
        return as_svg(figure)


def draw_frontier(frontier: SizeFrontier) -> str:
    """Return an SVG drawing of the error of ΔW by the size of the file, with the chosen size marked."""
    sizes = [nbytes / 1e6 for nbytes, _ in frontier.points]
    off = [100 * share for _, share in frontier.points]
    with drawing_style():
        figure = new_figure(3.2)
        axes = figure.subplots()
        axes.plot(sizes, off, color=SERIES[0], marker="o", markersize=4, label="files of other sizes")
        chosen = frontier.chosen
        label = f"this file, {megabytes(frontier.points[chosen][0])}"
        how: Any = {"color": SERIES[1], "marker": "o", "markersize": 9, "linestyle": "none"}
        axes.plot([sizes[chosen]], [off[chosen]], label=label, **how)
        axes.set_xlabel("size of the file, MB")
        axes.set_ylabel("error, % of ΔW")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        put_legend(figure, axes)
        return as_svg(figure)


def kind_and_layer(tensor: str) -> tuple[str, int]:
    """Return the kind of a tensor of a GGUF file and its layer, or -1 if it is outside the layers.

    Example:
        >>> kind_and_layer("blk.3.attn_q.weight"), kind_and_layer("output.weight")
        (('attn_q', 3), ('output', -1))
    """
    found = _BLOCK.fullmatch(tensor)
    kind, layer = (found[2], int(found[1])) if found else (tensor, -1)
    return kind.removesuffix(".weight"), layer


def _with_room(axes: "Axes", least: float) -> None:
    """Show at least `least` on both sides of the middle, so that rounding does not look like a loss."""
    low, high = axes.get_ylim()
    middle = (low + high) / 2
    axes.set_ylim(min(low, middle - least), max(high, middle + least))
    axes.ticklabel_format(axis="y", useOffset=False)
