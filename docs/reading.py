"""Where a component is used: a command that trains with it, and the page that treats it."""

from functools import cache
from pathlib import Path
from shlex import split

from structnet.config.composing import compose

# Kind -> name -> what follows `structnet train`, and the page of the manual.
USED: dict[str, dict[str, tuple[str, str]]] = {
    "cell": {
        "elman": ("cell=elman", "layers"),
        "fo": ("task=text topology=chain cell=fo", "layers"),
        "graph_lstm": ("experiment=superpixels", "graphs"),
        "gru": ("experiment=mutag", "graphs"),
        "indrnn": ("task=text topology=chain cell=indrnn", "layers"),
        "jordan": ("task=text topology=chain cell=jordan", "layers"),
        "lstm": ("experiment=treelstm_sst", "trees-sentiment"),
        "mgu": ("cell=mgu", "layers"),
        "mingru": ("task=text topology=chain cell=mingru", "layers"),
        "minlstm": ("task=text topology=chain cell=minlstm", "layers"),
        "mlstm": ("task=text topology=chain cell=mlstm cell.heads=4", "layers"),
        "mut1": ("cell=mut1", "cell-comparison"),
        "mut2": ("cell=mut2", "layers"),
        "mut3": ("cell=mut3", "layers"),
        "recursive": ("experiment=rntn_sst", "trees-sentiment"),
        "slstm": ("task=text topology=chain cell=slstm", "layers"),
        "sru": ("task=text topology=chain cell=sru cell.peephole=true", "layers"),
        "ssm": ("task=text topology=chain cell=ssm", "layers"),
    },
    "topology": {
        "bichain": ("experiment=pos_ewt topology=bichain", "language-tagging"),
        "bidiagonal": ("experiment=pixelrnn_digits", "images"),
        "chain": ("task=text topology=chain", "language-models"),
        "diagonal": ("experiment=digits_class topology=diagonal", "images"),
        "graph": ("experiment=callgraph", "graphs"),
        "multidirectional": ("experiment=camvid", "images"),
        "ordered_graph": ("experiment=esol", "graphs"),
        "renet": ("experiment=camvid topology=renet", "images"),
        "row": ("experiment=pixelrnn_mnist", "images"),
        "tree": ("experiment=treelstm_sst", "trees"),
    },
    "executor": {
        "auto": ("net.executor=auto", "executors"),
        "batched": ("net.executor=batched", "executors"),
        "compiled": ("net.executor=compiled", "executors"),
        "fused": ("net.executor=fused trainer.accelerator=gpu", "executors"),
        "reference": ("net.executor=reference", "executors"),
        "replayed": ("net.executor=replayed trainer.accelerator=gpu", "executors"),
        "scan": ("task=text topology=chain cell=mingru net.executor=scan", "executors"),
        "torch": ("task=text topology=chain cell=lstm net.executor=torch", "executors"),
    },
    "readout": {
        "attention": ("experiment=polarity", "language-classification"),
        "directions": ("experiment=elmo readout=directions", "language-representations"),
        "ends": ("experiment=polarity readout=ends", "language-classification"),
        "every": ("experiment=pos_ewt readout=every", "language-tagging"),
        "last": ("task=automaton topology=chain readout=last", "language-automata"),
        "max": ("experiment=digits_class", "images"),
        "mean": ("experiment=polarity readout=mean", "language-classification"),
        "pair": ("task=logic topology=tree readout=pair", "trees-pairs"),
        "root": ("experiment=mutag readout=root", "graphs"),
        "self_attentive": ("experiment=polarity readout=self_attentive", "language-classification"),
    },
    "head": {
        "adaptive": ("task=words head=adaptive", "language-models"),
        "crf": ("experiment=ner_wnut17", "language-tagging"),
        "sampled": ("experiment=wordlm_wikitext2", "language-models"),
        "softmax": ("experiment=pos_ewt head=softmax", "language-tagging"),
    },
    "net": {
        "captioner": ("experiment=captions_digits", "language-captions"),
        # Made by sn.fit alone.
        "module": ("", "python"),
        "parser": ("experiment=parse_treebank", "trees-parsing"),
        "pixelcnn": ("experiment=gated_pixelcnn_cifar10", "images"),
        "pixelrnn": ("experiment=pixelrnn_digits", "images"),
        "seq2seq": ("experiment=translation_multi30k", "language-translation"),
        "shift_reduce": ("task=sst net=shift_reduce topology=tree", "trees"),
        "siamese": ("experiment=sick_relatedness", "trees-pairs"),
        "stack": ("experiment=camvid", "images"),
    },
    "task": {
        "arithmetic": ("experiment=cell_comparison", "cell-comparison"),
        "automaton": ("experiment=tomita", "language-automata"),
        "bidirectional_text": ("experiment=elmo", "language-representations"),
        "callgraph": ("experiment=callgraph", "graphs"),
        "captions": ("experiment=captions_digits", "language-captions"),
        "cifar10": ("experiment=pixelrnn_cifar10", "images"),
        "classification": ("experiment=polarity", "language-classification"),
        "copy": ("task=copy net=seq2seq topology=bichain", "language-translation"),
        "digits": ("experiment=digits_class", "images"),
        "enas": ("experiment=enas", "graphs"),
        "esol": ("experiment=esol", "graphs"),
        "expressions": ("experiment=expressions", "trees"),
        "forecast": ("task=forecast task.root=sales.csv task.target=sales task.horizon=14",
                     "forecasting"),
        # Made by sn.fit alone.
        "given_classes": ("", "python"),
        "given_numbers": ("", "python"),
        "graphs": ("task=graphs task.root=graphs.jsonl topology=graph", "own-trees-graphs"),
        "images": ("task=images task.root=photos topology=multidirectional", "images"),
        "listops": ("experiment=listops", "trees"),
        "logic": ("experiment=logic", "trees-pairs"),
        "mnist": ("experiment=pixelrnn_mnist", "images"),
        "mutag": ("experiment=mutag", "graphs"),
        "nci1": ("experiment=nci1", "graphs"),
        "own_trees": ("task=own_trees task.root=trees.jsonl topology.arity=null",
                      "own-trees-graphs"),
        "parsing": ("experiment=parse_treebank", "trees-parsing"),
        "pyg": ("task=pyg task.dataset=MUTAG topology=ordered_graph", "graphs"),
        "reverse": ("task=reverse net=seq2seq topology=chain", "language-translation"),
        "river": ("experiment=river", "graphs"),
        "scene_parsing": ("experiment=parse_images", "trees-images"),
        "segmentation": ("experiment=camvid", "images"),
        "sequences": ("task=sequences task.root=visits.csv task.id=visit", "own-sequences"),
        "sick_entailment": ("experiment=sick_entailment", "trees-pairs"),
        "sick_relatedness": ("experiment=sick_relatedness", "trees-pairs"),
        "sort": ("task=sort net=seq2seq topology=bichain", "language-translation"),
        "sst": ("experiment=treelstm_sst", "trees-sentiment"),
        "superpixels": ("experiment=superpixels", "graphs"),
        "swapped": ("experiment=swapped", "swapped-operands"),
        "tagging": ("experiment=pos_ewt", "language-tagging"),
        "text": ("experiment=charlm_shakespeare", "language-models"),
        "translation": ("experiment=translation_multi30k", "language-translation"),
        "trees": ("task=trees task.root=trees", "trees-treebanks"),
        "words": ("experiment=wordlm_wikitext2", "language-models"),
        "xml": ("task=xml topology=chain", "cell-comparison"),
    },
}  # fmt: skip


DOCS = Path(__file__).parent
# The parts of the page that compares all of a kind.
CHOICES = {"topology": "topology-what-depends-on-what", "cell": "cell-what-a-node-remembers",
           "executor": "executor-what-runs-it"}  # fmt: skip


def example_part(kind: str, name: str) -> str:
    """A command that trains with a component; ValueError or KeyError where it doesn't compose."""
    words, _ = USED[kind][name]
    if not words:
        return ""
    if (found := chosen(words, kind)) != name:
        raise ValueError(f"the example of {kind} {name!r}, {words!r}, has {found!r}")
    return f"## Example\n\n```bash\nstructnet train {words}\n```"


def chosen(words: str, kind: str) -> str:
    """The component of a kind that the words after `structnet train` choose."""
    config = composed(words)
    return config["net"]["executor"] if kind == "executor" else config[kind]["name"]


@cache
def composed(words: str):
    """The configuration of the words after `structnet train`."""
    return compose(split(words))


def see_also_part(kind: str, name: str) -> str:
    """A link to the page of the manual."""
    page = USED[kind][name][1]
    title = (DOCS / f"{page}.md").read_text().partition("\n")[0].removeprefix("# ")
    also = f", [which {kind}](../../choose.md#{CHOICES[kind]})" if kind in CHOICES else ""
    return f"## See also\n\n[{title}](../../{page}.md){also}."
