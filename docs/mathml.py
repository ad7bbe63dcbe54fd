"""Equations as MathML, which browsers show without fonts or scripts from elsewhere."""

from docutils import nodes
from latex2mathml.converter import convert

BLOCK = "overflow: auto hidden; padding: 0.3em 0; line-height: 1.6"


def inline(self, node):
    """Write an equation in a line of text."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(self, node):
    """Write an equation on a line of its own, which scrolls where the page is too narrow."""
    # As in a line of text, sums have their index beside them, where no other line is near.
    written = convert(node.astext()).replace("<math ", '<math displaystyle="true" ', 1)
    self.body.append(f'<div class="math" style="{BLOCK}">{written}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Add the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
