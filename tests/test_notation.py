"""Docstrings' equations as LaTeX and MathML: all are read, and a few are as written by hand."""

import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest
from notation import Unread, equations_of, latex, prose

import structnet as sn

BUILT_IN = [n for n in sn.cells.names() if sn.cells[n].__module__.startswith("structnet.")]
BY_HAND = {
    "h = (1 - u) * n + u * sum_k h_k": r"h = (1 - u) \odot n + u \odot \sum_{k} h_{k}",
    "n = tanh(W_n x + sum_k U_nk (r * h_k) + b_n)":
        r"n = \tanh(W_{n} \, x + \sum_{k} U_{n k} \, (r \odot h_{k}) + b_{n})",
    "f_k = exp(l_k) / (1 + sum_j exp(l_j))":
        r"f_{k} = \frac{\exp(l_{k})}{1 + \sum_{j} \exp(l_{j})}",
    "h = o * (C q) / max(|n^T q|, 1)":
        r"h = \frac{o \odot (C \, q)}{\max(\left| {n}^{\top} \, q \right|, 1)}",
    "g(v) = v + 1/2 where v >= 0, else sigmoid(v)":
        r"g(v) = \begin{cases} v + \frac{1}{2} & \text{where } v \ge 0 \\ "
        r"\sigma(v) & \text{else} \end{cases}",
    "k' = W_k x / sqrt(d) - e^(m_k)": r"k' = \frac{W_{k} \, x}{\sqrt{d}} - {e}^{m_{k}}",
    "c = [h_1; ...; h_K]": r"c = [h_{1}; \dots; h_{K}]",
    "i = -mean_k f_k": r"i = -\operatorname{mean}_{k} f_{k}",
}  # fmt: skip


class Described:
    """A first line.

    Before.

    Equations:
        a = W x
            + b
        reset=before: a = b

    After.

    Arguments:
        reset: what it is.
    """


@pytest.mark.parametrize("text", BY_HAND)
def test_an_equation_is_the_latex_written_by_hand(text):
    assert latex(text) == BY_HAND[text]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_equation_of_every_cell_is_read_and_is_mathml(name):
    # It comes with the extra `docs`.
    convert = pytest.importorskip("latex2mathml.converter").convert
    found = equations_of(sn.cells[name])
    assert found
    for one in found:
        written = convert(latex(one.text))
        # What latex2mathml does not know stays in it as it is.
        assert "\\" not in "".join(ElementTree.fromstring(written).itertext()), one


@pytest.mark.parametrize("text", [
    "h", "h =", "h = f(x)", "h = (x", "h = x +", "h = x) + 1", "h = a ~ b", "h = a where b >= 0",
])  # fmt: skip
def test_what_is_not_in_the_notation_is_refused(text):
    with pytest.raises(Unread):
        latex(text)


def test_an_equation_on_a_line_of_its_own_is_mathml_that_scrolls():
    pytest.importorskip("latex2mathml")
    nodes = pytest.importorskip("docutils.nodes")
    import mathml

    page = SimpleNamespace(body=[])
    for write in (mathml.block, mathml.inline):
        with pytest.raises(nodes.SkipNode):
            write(page, nodes.math_block("", latex("h = a / b")))
    block, inline = page.body
    assert block.startswith('<div class="math" style="overflow: auto')
    assert '<math displaystyle="true" ' in block and "<mfrac>" in block
    assert inline.startswith("<math ") and "displaystyle" not in inline


def test_equations_are_taken_out_of_a_docstring():
    assert equations_of(Described) == [("a = W x + b", ""), ("a = b", "reset=before")]
    assert prose(Described) == ("Before.", "After.")
    assert equations_of(sn.Cell) == []
