"""What all drawings of a page have in common: matplotlib, the style, the legend, and the SVG that comes out.

matplotlib comes with the extra ``report``. Colours are CSS variables of the page, so that one drawing serves
a light and a dark page (docs/decisions.md, “A drawing has no colours of its own”).
"""

import io
import re
from typing import TYPE_CHECKING, Any

from ollama_pack.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Placeholders: `as_svg` replaces each of these colours by its CSS variable, so no two may be alike.
INK_COLOUR, LINE_COLOUR = "#010203", "#010204"
SERIES = ("#010211", "#010212", "#010213", "#010214", "#010215", "#010216", "#010217", "#010218")
_VARIABLES = {
    INK_COLOUR: "--ink",
    LINE_COLOUR: "--line",
    **{hue: f"--series-{n}" for n, hue in enumerate(SERIES, 1)},
}

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ollama-pack",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK_COLOUR,
    "axes.edgecolor": LINE_COLOUR,
    "axes.labelcolor": INK_COLOUR,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK_COLOUR,
    "ytick.color": INK_COLOUR,
    "grid.color": LINE_COLOUR,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
}

FIGURE_WIDTH = 9.0
"""Width of a drawing in inches."""


def require_library() -> None:
    """Require matplotlib.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401 — only whether it is there
    except ImportError as error:
        raise UsageError(
            "A report needs matplotlib, which is not installed.",
            hint="pip install 'ollama-pack[report]'",
            code="extra-missing",
        ) from error


def layer_label(layer: int) -> str:
    """Return the label of a layer; -1 stands for all weights outside the layers."""
    return "none" if layer < 0 else str(layer)


def put_legend(figure: "Figure", axes: "Axes") -> None:
    """Put the legend above the plot, where no curve is, and make the drawing higher by its rows."""
    labels = axes.get_legend_handles_labels()[1]
    columns = max(1, int((FIGURE_WIDTH - 1) / (0.7 + 0.08 * max(map(len, labels), default=0))))
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.21 * rows)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=columns)


def drawing_style() -> Any:  # noqa: ANN401 — a context of matplotlib
    """Return a context in which matplotlib draws in the placeholder colours, and the same bytes each time."""
    from matplotlib import rc_context

    return rc_context(_STYLE)


def new_figure(height: float) -> "Figure":
    """Return an empty figure; `height` is in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(FIGURE_WIDTH, height), layout="constrained")


def as_svg(figure: "Figure") -> str:
    """Return a drawing as an ``<svg>`` element with CSS variables as colours, without metadata and size."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = file.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1)
    for hue, name in _VARIABLES.items():
        drawing = drawing.replace(hue, f"var({name})")
    return drawing
