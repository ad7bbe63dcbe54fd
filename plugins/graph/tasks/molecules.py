"""Molecules as graphs of tagged atoms: MUTAG and NCI1."""

from structnet.plugins.graph.molecules.tagged import TaggedGraphs

import structnet as sn


@sn.tasks.register("mutag")
class MUTAG(TaggedGraphs):
    """Whether a molecule changes genes of bacteria; 188 molecules, over ten given folds.

    Debnath et al. (1991), in the file and the folds of Xu et al. (2019): MUTAG.txt and
    10fold_idx/test_idx-FOLD.txt in `root`, or in molecules/mutag/ of the folder that STRUCTNET_DATA
    names. `fold`, from 1 to 10, is test; a stratified ninth of the others is validation.
    """

    file, place, given = "MUTAG.txt", "molecules/mutag", True


@sn.tasks.register("nci1")
class NCI1(TaggedGraphs):
    """Whether a chemical compound slows the growth of lung tumours; 4,110 compounds, ten folds.

    Wale et al. (2008), in the file of Xu et al. (2019): NCI1.txt in `root`, or in molecules/nci1/
    of the folder that STRUCTNET_DATA names, under gzip as well. The ten folds are stratified and
    ours; `fold`, from 1 to 10, is test, and a stratified ninth of the others validation.
    """

    file, place, given = "NCI1.txt", "molecules/nci1", False
