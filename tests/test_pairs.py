"""Pairs of formulas and of sentences."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import structnet as sn
from structnet.plugins.tree.pairs.formula import RELATIONS, parse
from structnet.plugins.tree.pairs.sentences import in_order, read_pairs
from structnet.plugins.tree.tasks.sick import distribution

TREE = sn.topologies.create("tree")
CHAIN = sn.topologies.create("chain")

# Formulas


def typed(text):
    return parse(sn.Origin("here", 2, text))


def leaves(formula):
    return [word for word in formula.tree.words if word]


def test_a_formula_is_a_binary_tree_with_its_words_as_leaves():
    one = typed("( ( not a ) ( and ( b ( or a ) ) ) )")
    assert one.operators == 3
    assert leaves(one) == ["not", "a", "and", "b", "or", "a"]
    assert one.tree.children[-1].tolist() == [2, 9]


def test_a_variable_is_a_formula_of_one_node():
    one = typed(" d ")
    assert (one.text, one.operators, one.tree.words) == ("d", 0, ["d"])


MISTAKES = {
    "": (1, "nothing to read"),
    "( a b )": (1, "these brackets hold no formula"),
    "( and a )": (1, "'( and a )' is a part of a formula"),
    "not": (1, "'not' is a part of a formula"),
    "( not a": (8, "a bracket is not closed"),
    "( a and b )": (1, "these round brackets have 3 in them"),
    "( a ( not b ) )": (1, "these brackets hold no formula"),
    "( not ( ) )": (9, "an empty node: bracket and then ')'"),
    "a b": (3, "'b' after the end of the tree"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_what_is_no_formula_is_refused_with_its_column(text):
    with pytest.raises(ValueError) as error:
        typed(text)
    column, what = MISTAKES[text]
    assert str(error.value).startswith(f"here, line 2, column {column}: {what}")


def test_deep_formulas_are_read_without_recursion():
    one = typed("( not " * 50_000 + "a" + " )" * 50_000)
    assert one.operators == 50_000 and len(one.tree.words) == 100_001


def formula(operators, draw):
    """A random formula with that many operators."""
    if not operators:
        return str(draw.choice([*"abcdef"]))
    if draw.random() < 0.4:
        return f"( not {formula(operators - 1, draw)} )"
    left = int(draw.integers(operators))
    word = draw.choice(["and", "or"])
    right = formula(operators - 1 - left, draw)
    return f"( {formula(left, draw)} ( {word} {right} ) )"


@pytest.fixture(scope="module")
def logic(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("logic"), np.random.default_rng(0)
    for split, most in (("train", 3), ("test", 12)):
        for count in range(1, most + 1):
            sides = [(formula(count, draw), formula(int(draw.integers(count)), draw))
                     for _ in range(12)]  # fmt: skip
            lines = [f"{draw.choice([*RELATIONS])}\t{a}\t{b}\n" for a, b in sides]
            (folder / f"{split}{count}").write_text("".join(lines))
    return folder


def create_logic(folder, topology=TREE, **options):
    task = sn.tasks.create("logic", root=str(folder), most_operators=3, **options)
    return task, task.keep(task.load(topology))


def test_formulas_are_trees_or_their_words_and_brackets(logic):
    task, trees = create_logic(logic)
    other, chains = create_logic(logic, CHAIN)
    for tree, chain in zip(trees["test"], chains["test"], strict=True):
        pair = chain.origin
        for one, side in zip((chain, *chain.parts), (pair.first, pair.second), strict=True):
            assert " ".join(other.node_names(one)) == side.text
        for one, side in zip((tree, *tree.parts), (pair.first, pair.second), strict=True):
            assert [name for name in task.node_names(one) if name] == leaves(side)
        assert tree.kind == chain.kind == pair.operators - 1
        assert list(RELATIONS)[int(tree.y)] == pair.relation


def test_pairs_of_the_training_split_are_in_no_other_one(logic):
    _, splits = create_logic(logic, limit=20)
    texts = {split: {one.origin.text for one in some} for split, some in splits.items()}
    assert len(splits["train"]) == 20 and not texts["train"] & (texts["validation"] | texts["test"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("?\ta\tb", "line 13: '?\\ta\\tb', expected a relation, one of = < > ^ | v #"),
        ("=\ta", "expected a relation"),
        ("=\ta\t( not b", "train1, line 13, column 12: a bracket is not closed"),
    ],
)
def test_a_line_of_formulas_is_refused_with_its_place(logic, tmp_path, line, message):
    for path in logic.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "train1").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError) as error:
        create_logic(tmp_path)
    assert message in str(error.value)


def test_a_users_formulas_are_read_and_a_single_one_refused(logic):
    task, _ = create_logic(logic)
    one = task.read_text(sn.Origin("text", 1, "( not a ) ||| ( a ( and b ) )"), TREE)
    assert [len(part.x) for part in (one, *one.parts)] == [3, 5]
    with pytest.raises(ValueError, match=r"text, line 1: .* has 1 texts, expected two"):
        task.read_text(sn.Origin("text", 1, "( not a )"), TREE)
    with pytest.raises(ValueError, match="text, line 1, column 14: a bracket is not"):
        task.read_text(sn.Origin("text", 1, "a ||| ( not a"), TREE)


# Sentences

SENTENCES = [
    # Words, heads, parents of the binary tree.
    ("A man plays", "2 3 0", "4 4 5 5 0"),
    ("Someone is not here", "4 4 4 0", "7 5 5 6 6 7 0"),
    ("Music", "0", "0"),
]


def write_sick(folder, count=6):
    for number, split in enumerate(("train", "dev", "test")):
        (folder / split).mkdir(parents=True)
        files = {name: [] for name in (
            "a.toks", "a.parents", "a.cparents", "b.toks", "b.parents", "b.cparents", "sim.txt",
            "id.txt",
        )}  # fmt: skip
        for at in range(count):
            for side, sentence in (("a", SENTENCES[at % 3]), ("b", SENTENCES[at // 2 % 3])):
                for ending, text in zip(("toks", "parents", "cparents"), sentence, strict=True):
                    files[f"{side}.{ending}"].append(text)
            files["sim.txt"].append(str(4.5 if at % 3 == at // 2 % 3 else 1.5 + at % 5 / 10))
            files["id.txt"].append(str(number * count + at))
        for name, lines in files.items():
            (folder / split / name).write_text("".join(f"{line}\n" for line in lines))
        table = ["pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment"]
        said = ("NEUTRAL", "ENTAILMENT", "CONTRADICTION")
        table += [f"{one}\t\t\t3\t{said[int(one) % 3]}" for one in files["id.txt"]]
        names = ("SICK_train.txt", "SICK_trial.txt", "SICK_test_annotated.txt")
        (folder / names[number]).write_text("\n".join(table) + "\n")
    return folder


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    return write_sick(tmp_path_factory.mktemp("sick"))


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    return write_sick(tmp_path_factory.mktemp("larger"), 60)


def create(folder, name="sick_relatedness", topology=TREE, **options):
    task = sn.tasks.create(name, root=str(folder), **options)
    task.check(topology)
    return task, task.keep(task.load(topology))


def test_a_constituency_tree_has_its_words_in_order():
    table = in_order((4, 3, 3, 4, -1), 3)
    assert table.tolist() == [[-1, -1], [-1, -1], [-1, -1], [1, 2], [0, 3]]


def test_trees_and_sequences_are_those_of_the_files(sick):
    free = sn.topologies.create("tree", arity=None)
    _, binary = create(sick)
    _, chains = create(sick, topology=CHAIN)
    _, heads = create(sick, topology=free, trees="dependency")
    one, chain, head = (splits["test"][1] for splits in (binary, chains, heads))
    # A binary tree has a node for two words or phrases each, a dependency tree the words alone.
    assert (len(one.x), chain.structure, len(head.x)) == (7, 4, 4)
    assert one.structure[6].tolist() == [0, 5] and one.structure[5].tolist() == [4, 3]
    assert sorted(head.structure[3].tolist()) == [0, 1, 2]
    assert one.x.ids.tolist() == chain.x.ids.tolist() == head.x.ids.tolist()


def test_words_that_both_sentences_have_are_marked_unless_it_is_not_asked_for(sick):
    text = sn.Origin("text", 1, "A man plays. ||| A person plays!")
    known, _ = create(sick, topology=CHAIN)
    one = known.read_text(text, CHAIN)
    for part in (one.parts[0], one):
        words = known.vocabulary.words(part.x)
        assert ["<shared>" in bag for bag in words] == [True, False, True]
    alone, _ = create(sick, topology=CHAIN, shared=False)
    unmarked = alone.vocabulary.words(alone.read_text(text, CHAIN).x)
    assert unmarked == [[word for word in bag if word != "<shared>"] for bag in words]


def test_dependency_trees_need_any_number_of_children(sick):
    with pytest.raises(ValueError, match=r"set topology\.arity=null"):
        create(sick, trees="dependency")


def test_a_score_becomes_a_distribution_with_it_as_its_mean():
    y = torch.tensor([1.0, 2.4, 3.0, 4.9, 5.0], dtype=torch.float64)
    p = distribution(y, 5)
    torch.testing.assert_close(p.sum(1), torch.ones_like(y))
    torch.testing.assert_close(p @ torch.arange(1, 6, dtype=y.dtype), y)
    torch.testing.assert_close(p[1], torch.tensor([0, 0.6, 0.4, 0, 0], dtype=y.dtype))
    assert (p > 0).sum(1).tolist() == [1, 2, 1, 2, 1]


def test_the_loss_is_the_divergence_and_the_figures_are_those_of_scipy(sick):
    from scipy.stats import pearsonr, spearmanr

    task, splits = create(sick)
    batch = sn.collate(list(splits["test"]), TREE)
    torch.manual_seed(0)
    output = torch.randn(len(batch.y), 5)
    p, q = distribution(batch.y, 5), output.softmax(1)
    terms = [(a * (a / b).log()).item() for a, b in zip(p[p > 0], q[p > 0], strict=True)]
    assert task.loss(output, batch).item() == pytest.approx(sum(terms) / len(batch.y), abs=1e-5)
    said = (q @ torch.arange(1.0, 6)).numpy()
    figures = {}
    for name, pair in task.measured(output, batch).items():
        figures[name] = float(task.metrics()[name](*pair))
    y = batch.y.numpy()
    expected = {
        "pearson": pearsonr(said, y)[0],
        "spearman": spearmanr(said, y)[0],
        "mse": F.mse_loss(torch.from_numpy(said), batch.y).item(),
    }
    assert figures == pytest.approx(expected, abs=1e-4)


def test_a_pair_has_the_class_of_its_number(sick):
    task, splits = create(sick, "sick_entailment")
    for some in splits.values():
        for one in some:
            number = int(one.origin.id)
            assert task.classes[one.y] == ("neutral", "entailment", "contradiction")[number % 3]


BROKEN = {
    "a.toks": ("", "a.toks, line 2: '', expected a sentence"),
    "a.cparents": ("7 5 5 6 6 7", "line 2: '7 5 5 6 6 7', expected 7 numbers for 4 words, got 6"),
    "b.cparents": ("4 4 5 5 9", "line 2: '9', expected the parent of node 5, from 0"),
    "sim.txt": ("5.5", "sim.txt, line 2: '5.5', expected a score from 1 to 5"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_is_refused_with_its_place(tmp_path, name):
    folder = write_sick(tmp_path)
    text, message = BROKEN[name]
    path = folder / "train" / name
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], text, *lines[2:]]) + "\n")
    with pytest.raises(ValueError) as error:
        create(folder)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4 4 5 5 5", "expected one root, a node with parent 0, got 0"),
        ("4 0 5 5 0", "got 2"),
        ("0 3 2 1 1", "expected a tree: node 2 is above itself"),
        ("2 0 4 5 2", "expected 0 children, as it is a word, at node 2"),
    ],
)
def test_what_is_no_tree_is_refused(tmp_path, text, message):
    folder = write_sick(tmp_path)
    path = folder / "train" / "a.cparents"
    path.write_text("\n".join([text, *path.read_text().splitlines()[1:]]) + "\n")
    with pytest.raises(ValueError, match=r"a\.cparents, line 1") as error:
        read_pairs(folder / "train", "constituency")
    assert message in str(error.value)


def test_files_of_different_lengths_are_refused(tmp_path):
    folder = write_sick(tmp_path)
    with (folder / "dev" / "b.toks").open("a") as file:
        file.write("One more\n")
    with pytest.raises(ValueError, match=r"b\.toks has 7 lines, expected 6 as in"):
        create(folder)


def test_a_users_sentences_are_read_on_sequences_and_refused_on_trees(sick):
    text = sn.Origin("text", 1, "A man plays. ||| A person plays!")
    task, _ = create(sick, topology=CHAIN)
    one = task.read_text(text, CHAIN)
    assert [len(part.x) for part in (one, *one.parts)] == [3, 3]
    assert list(task.node_names(one)) == ["A", "man", "plays"]
    # Also where the text is the origin, as of a run, and of the second sentence.
    one = replace(one, origin=text)
    assert list(task.node_names(one)) == ["A", "man", "plays"]
    assert list(task.node_names(one.parts[0])) == ["A", "person", "plays"]
    with pytest.raises(ValueError, match=r"a\.cparents, b\.cparents, or train on sequences"):
        create(sick)[0].read_text(text, TREE)
    with pytest.raises(ValueError, match="has 1 texts, expected two with"):
        task.read_text(sn.Origin("text", 1, "A man plays."), CHAIN)
    with pytest.raises(ValueError, match=r"' \.' has no words"):
        task.read_text(sn.Origin("text", 1, "A man plays. ||| ."), CHAIN)


@pytest.mark.slow
def test_baselines_have_the_figures_of_the_nets(logic, larger):
    task, _ = create_logic(logic)
    for figures in task.baselines().values():
        assert set(figures) == {"accuracy", *task.kinds}
    for name, expected in (("relatedness", {"ridge", "boosted trees"}),
                           ("entailment", {"majority", "regression"})):  # fmt: skip
        task, _ = create(larger, f"sick_{name}")
        found = task.baselines()
        assert set(found) == expected
        assert all(task.monitor in figures for figures in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("task", ["logic", "sick_relatedness", "sick_entailment"])
def test_a_run_learns_predicts_and_reads_again(task, logic, larger, tmp_path, monkeypatch):
    from commands import call

    monkeypatch.chdir(tmp_path)
    root = logic if task == "logic" else larger
    some = ["task.most_operators=3"] if task == "logic" else []
    words = [f"task={task}", f"task.root={root}", "net=siamese", "topology=bichain", *some]
    sized = [
        "net.hidden_size=16",
        "net.embedding_size=16",
        "trainer.learning_rate=0.02",
        "trainer.max_epochs=3",
        "trainer.batch_size=8",
    ]
    status, out, err = call("train", *words, *sized, "trainer.accelerator=cpu", "run=out")
    assert status == 0, err
    text = "( not a ) ||| b" if task == "logic" else "A man plays. ||| A person plays."
    status, out, err = call("predict", "run=out", f"text={text}")
    assert status == 0, err
    assert ("of 5" in out) if task == "sick_relatedness" else ("0." in out)
