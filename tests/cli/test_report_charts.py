"""The drawings of a report: where the legend is, what an axis counts, and the scale of the heat map."""

import hashlib
import re
from xml.etree import ElementTree

import pytest
from terminal import run
from training_run import write_run

from ollama_pack import __version__
from ollama_pack.lora.spectrum import Spectrum
from ollama_pack.report.charts import draw_sizes, draw_spectra, draw_training

SVG = "{http://www.w3.org/2000/svg}"


def groups(drawing: str, name: str) -> list[ElementTree.Element]:
    """Return the groups of a drawing whose id begins with `name`."""
    found = ElementTree.fromstring(drawing).iter(f"{SVG}g")
    return [each for each in found if each.get("id", "").startswith(name)]


def texts(group: ElementTree.Element) -> list[str]:
    """Return the texts in a group."""
    return ["".join(each.itertext()).strip() for each in group.iter(f"{SVG}text")]


def heights(group: ElementTree.Element, *, clipped: bool) -> list[float]:
    """Return the y of each point of the paths in a group; the curves of a plot are clipped by its frame."""
    return [
        float(y)
        for path in group.iter(f"{SVG}path")
        if ("clip-path" in path.attrib) is clipped
        for y in re.findall(r"[ML] \S+ (\S+)", path.get("d", ""))
    ]


def spectrum(module: str, *, rank: int = 4, norm: float = 1.0) -> Spectrum:
    """Return a spectrum whose values fall by half."""
    return Spectrum(module, rank, tuple(0.5**at for at in range(rank)), norm)


KINDS = tuple(f"{kind}_of_a_tower_with_a_long_name_{n}" for n in range(4) for kind in ("q_proj", "k_proj"))
DRAWINGS = {
    "losses": draw_training({"loss": [(1, 3.0), (2, 3.0)], "eval_loss": [(2, 3.0)]}, [(1, False), (2, True)]),
    "losses and rate": draw_training(
        {"loss": [(1, 3.0), (2, 1.0)], "learning_rate": [(1, 1.0)]}, [(2, True)]
    ),
    "two kinds": draw_spectra([spectrum("layers.0.q_proj"), spectrum("layers.0.v_proj")]),
    "many long names": draw_spectra([spectrum(f"layers.0.{kind}") for kind in KINDS]),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_legend_is_outside_the_plot(name):
    """Everything of the legend is higher than every curve, and all its labels are in the drawing."""
    drawing = DRAWINGS[name]
    (legend,) = groups(drawing, "legend")
    curves = [y for axes in groups(drawing, "axes") for y in heights(axes, clipped=True)]
    frame = [y for axes in groups(drawing, "patch") for y in heights(axes, clipped=False)]
    assert curves
    assert max(heights(legend, clipped=False)) < min(curves)
    assert min(heights(legend, clipped=False)) > min(frame), "the legend is cut off"
    width = float(str(ElementTree.fromstring(drawing).get("viewBox")).split()[2])
    starts = re.findall(r"translate\((\S+)", ElementTree.tostring(legend).decode())
    assert all(0 < float(x) < width for x in starts)


@pytest.mark.parametrize("rank", [1, 2, 3, 8, 64])
def test_directions_are_whole_numbers(rank):
    """There is no direction 1.5, whatever the rank."""
    drawing = draw_spectra([spectrum("layers.0.q_proj", rank=rank)])
    labels = [text for tick in groups(drawing, "xtick") for text in texts(tick)]
    assert labels
    assert [str(int(label)) for label in labels] == labels


@pytest.mark.parametrize("steps", [(1,), (1, 2), (1, 2, 3), (10, 4000)])
def test_steps_are_whole_numbers(steps):
    """A run of two steps has no step 1.5."""
    drawing = draw_training({"loss": [(step, 1.0 / step) for step in steps]}, [])
    labels = [text for tick in groups(drawing, "xtick") for text in texts(tick)]
    assert labels
    assert [str(int(label)) for label in labels] == labels


@pytest.mark.parametrize("most", [0.0, 3.4e-07, 0.5, 18.44, 2.5e6])
def test_the_heat_map_has_a_scale(most):
    """The numbers beside the colours go from 0 to about the largest norm, and say what they are."""
    drawing = draw_sizes([spectrum("layers.0.q_proj", norm=most), spectrum("layers.1.q_proj", norm=most / 2)])
    _, scale = groups(drawing, "axes")
    assert "‖ΔW‖" in texts(scale)
    factor = 1.0
    numbers = []
    for text in texts(scale):
        if text.startswith("1e"):  # a factor that matplotlib writes above the axis
            factor = float(text.replace("\N{MINUS SIGN}", "-"))
        elif text != "‖ΔW‖":
            numbers.append(float(text.replace("\N{MINUS SIGN}", "-")))
    most = most or 1.0
    assert min(numbers) == 0
    assert most / 2 < max(numbers) * factor <= most * 1.001


def opacities(drawing: str) -> list[float]:
    """Return how strong the colour of each cell of a heat map is."""
    cells, _ = groups(drawing, "axes")
    found = [re.search(r"opacity: ([\d.]+)", path.get("style", "")) for path in cells.iter(f"{SVG}path")]
    return [float(each[1]) for each in found if each]


def test_experts_share_a_cell():
    """The cell of the experts of a layer shows all of them together, not the last one."""
    experts = [spectrum(f"layers.0.experts.{n}.w1", norm=norm) for n, norm in enumerate((3.0, 4.0))]
    drawing = draw_sizes([*experts, spectrum("layers.1.experts.0.w1", norm=10.0)])
    assert opacities(drawing) == [pytest.approx(0.06 + 0.94 * 0.5)], "the strongest colour has no opacity"


def test_digest_and_version(tmp_path, tiny_gguf):
    """The page tells which weights it is about, and which version of the tool made it."""
    trained = write_run(tmp_path / "ada-lora")
    ran = run("inspect", trained, "--base", tiny_gguf, "--report", tmp_path / "r.html")
    assert ran.code == 0, ran.stderr
    page = (tmp_path / "r.html").read_text("utf-8")
    digest = hashlib.sha256((trained / "adapter_model.safetensors").read_bytes()).hexdigest()
    assert f"sha256:{digest} of adapter_model.safetensors" in page
    assert f"Made by ollama-pack {__version__}." in page
