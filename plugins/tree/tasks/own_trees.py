"""Own trees: a class or a number for each, or for each of their nodes."""

import structnet as sn
from structnet.plugins.shapes.task import OwnShapes


@sn.tasks.register("own_trees")
class OwnTrees(OwnShapes):
    """Your own trees: a class or a number for each, or for each of their nodes.

    Files of JSON lines, nested or flat, as the page on own trees and graphs
    describes; brackets; CoNLL-U.
    What nodes have is read as numbers, categories, texts and times, by its columns.
    """

    structures = ("tree", "graph", "undirected")
    trees, what = True, "trees"
