"""Own graphs: a class or a number for each, or for each of their nodes."""

import structnet as sn
from structnet.plugins.shapes.task import OwnShapes


@sn.tasks.register("graphs")
class OwnGraphs(OwnShapes):
    """Your own graphs: a class or a number for each, or for each of their nodes.

    Files of JSON lines and GraphML, folders with nodes.csv and edges.csv or as TUDataset has them,
    as the page on own trees and graphs describes. On topology ordered_graph, which takes any graph,
    every edge is read both ways; topology=graph follows edges, of graphs without cycles.
    """

    structures = ("undirected", "graph")
    trees, what = False, "graphs"
