"""Draws the curves of a run, the sizes of its ΔW and their singular values as SVG, with matplotlib.

The style and the conversion to SVG, which all drawings share, are in `drawing`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ollama_pack.errors import natural_key, one_line
from ollama_pack.lora.adapter import layer_of
from ollama_pack.lora.spectrum import Spectrum
from ollama_pack.report.drawing import (
    SERIES,
    as_svg,
    drawing_style,
    layer_label,
    new_figure,
    put_legend,
)
from ollama_pack.run.trainer_log import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_training(curves: Mapping[str, Curve], checkpoints: Sequence[tuple[int, bool]]) -> str:
    """Return an SVG drawing of losses and learning rate by step, with the checkpoints marked.

    Args:
        curves: the curves of the trainer's log.
        checkpoints: the step of each checkpoint, and whether it is the best.
    """
    rate = curves.get("learning_rate", ())
    with drawing_style():
        figure = new_figure(4.4 if rate else 3.2)
        axes = figure.subplots(2 if rate else 1, 1, sharex=True, squeeze=False,
                               gridspec_kw={"height_ratios": [3, 1][: 2 if rate else 1]})[:, 0]  # fmt: skip
        for name, label, hue in (("loss", "training loss", 0), ("eval_loss", "eval loss", 1)):
            if curve := curves.get(name, ()):
                marker = {"marker": "o", "markersize": 3} if len(curve) < 50 else {}
                _draw_curve(axes[0], curve, label=label, color=SERIES[hue], **marker)
        for step, best in checkpoints:
            shade, wide = (SERIES[2], 1.8) if best else (SERIES[7], 0.9)
            for each in axes:
                each.axvline(step, color=shade, linewidth=wide, linestyle=":")
        if checkpoints:
            axes[0].plot([], [], color=SERIES[7], linestyle=":", label="checkpoint")
        if any(best for _, best in checkpoints):
            axes[0].plot([], [], color=SERIES[2], linestyle=":", label="best checkpoint")
        axes[0].set_ylabel("loss")
        put_legend(figure, axes[0])
        if rate:
            _draw_curve(axes[1], rate, color=SERIES[3])
            axes[1].set_ylabel("learning rate")
        axes[-1].set_xlabel("step")
        _count_by_ones(axes[-1])
        return as_svg(figure)


def draw_sizes(spectra: Sequence[Spectrum]) -> str:
    """Return an SVG drawing of ‖ΔW‖, with a row for each kind of module and a column for each layer.

    The stronger the colour of a cell, the larger is the norm; a scale beside the cells has the numbers.
    Modules of one kind in one layer, such as experts, share a cell with the norm of all of them together.
    """
    squares: dict[tuple[str, int], float] = {}
    for each in spectra:
        cell = module_kind(each), spectrum_layer(each)
        squares[cell] = squares.get(cell, 0.0) + each.norm**2
    kinds = sorted({kind for kind, _ in squares}, key=natural_key)
    layers = sorted({layer for _, layer in squares})
    most = max(squares.values(), default=0.0) ** 0.5 or 1.0
    with drawing_style():
        figure = new_figure(1.1 + 0.34 * len(kinds))
        axes, scale = figure.subplots(1, 2, gridspec_kw={"width_ratios": [45, 1]})
        for (kind, layer), square in squares.items():
            _draw_cell(axes, (layers.index(layer), kinds.index(kind)), (0.94, 0.9), square**0.5 / most)
        axes.set_xlim(0, len(layers))
        axes.set_ylim(len(kinds), 0)
        axes.set_yticks([index + 0.45 for index in range(len(kinds))], [one_line(kind) for kind in kinds])
        every = max(1, len(layers) // 16)
        shown = list(range(0, len(layers), every))
        axes.set_xticks([index + 0.47 for index in shown], [layer_label(layers[index]) for index in shown])
        axes.set_xlabel("layer")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        _draw_scale(scale, most)
        return as_svg(figure)


def _draw_cell(axes: "Axes", corner: tuple[float, float], size: tuple[float, float], share: float) -> None:
    """Draw a cell of the heat map; `share` is its norm divided by the largest."""
    from matplotlib.patches import Rectangle

    shade = 0.06 + 0.94 * share
    axes.add_patch(Rectangle(corner, *size, facecolor=SERIES[0], alpha=shade, antialiased=False))


def _draw_scale(axes: "Axes", most: float) -> None:
    """Draw the scale of the heat map: the colours from 0 to the largest norm, with numbers beside them."""
    from matplotlib.ticker import MaxNLocator

    steps = 48
    for step in range(steps):
        _draw_cell(axes, (0, step * most / steps), (1, most / steps), (step + 0.5) / steps)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, most)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    axes.yaxis.set_label_position("right")
    axes.set_ylabel("‖ΔW‖")
    axes.spines[:].set_visible(False)


def draw_spectra(spectra: Sequence[Spectrum]) -> str:
    """Return an SVG drawing of the singular values of each kind of module, relative to the largest one.

    Each curve is the median over the layers.
    """
    kinds: dict[str, list[Spectrum]] = {}
    for each in spectra:
        kinds.setdefault(module_kind(each), []).append(each)
    with drawing_style():
        figure = new_figure(3.2)
        axes = figure.subplots()
        for number, kind in enumerate(sorted(kinds, key=natural_key)):
            values = [each.values for each in kinds[kind] if each.values and each.values[0]]
            longest = max(map(len, values), default=0)
            medians = [_median([v[at] / v[0] for v in values if at < len(v)]) for at in range(longest)]
            style = ("-", "--", "-.", ":")[number // len(SERIES) % 4]
            how: Any = {
                "color": SERIES[number % len(SERIES)],
                "marker": "o" if longest < 40 else None,
                "markersize": 3,
            }
            axes.plot(range(1, longest + 1), medians, style, label=one_line(kind), **how)
        axes.set_xlabel("direction")
        axes.set_ylabel("singular value / the largest")
        axes.set_ylim(0, 1.05)
        _count_by_ones(axes)
        put_legend(figure, axes)
        return as_svg(figure)


def module_kind(each: Spectrum) -> str:
    """Return the last part of a module's name, ``q_proj``."""
    return each.module.rpartition(".")[2]


def spectrum_layer(each: Spectrum) -> int:
    """Return the number of the layer that a module is in, or -1 if it is outside the layers."""
    block = layer_of(each.module)
    return -1 if block is None else block


def _median(values: Sequence[float]) -> float:
    """Return the median, or 0 without values."""
    return sorted(values)[len(values) // 2] if values else 0.0


def _draw_curve(axes: "Axes", curve: Curve, **how: Any) -> None:  # noqa: ANN401 — arguments of matplotlib
    """Draw a curve over a horizontal grid."""
    axes.plot([step for step, _ in curve], [value for _, value in curve], **how)
    axes.grid(axis="y")


def _count_by_ones(axes: "Axes") -> None:
    """Label the horizontal axis with whole numbers only, because it counts."""
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_xlim()
    if high - low < 2:  # a single point: no two whole numbers would be in view
        axes.set_xlim((low + high) / 2 - 1, (low + high) / 2 + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
