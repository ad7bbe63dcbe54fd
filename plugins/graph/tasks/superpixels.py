"""Segmentation by superpixels: the class of every region of a street scene."""

import structnet as sn
from structnet.plugins.scenes.superpixels import SuperpixelTask


@sn.tasks.register("superpixels")
class Superpixels(SuperpixelTask):
    """The class of every superpixel of street scenes, scored on their pixels.

    The scenes of task `segmentation`, cut into regions by SLIC (Achanta et al. 2012). A node is a
    superpixel with its colours, position, extent and size as features; an edge leads in both
    directions between two that touch. A node's target is the number of its pixels of each class. In
    the loss and the metrics, which are those of `segmentation`, every pixel has the class of its
    superpixel.
    """
