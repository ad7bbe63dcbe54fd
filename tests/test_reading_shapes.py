"""Files of a user's own trees and graphs: what is read, and how what is wrong is refused."""

import json

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from structnet.plugins.shapes import tu_folder
from structnet.plugins.shapes.columns import columns_of
from structnet.plugins.shapes.graph_tables import read_graphs as read_folder
from structnet.plugins.shapes.graphml import read_graphml
from structnet.plugins.shapes.graphs import both_ways, graph_of
from structnet.plugins.shapes.memory import shape_of, shapes_of
from structnet.plugins.shapes.shape import Place
from structnet.plugins.shapes.trees import read_trees, tree_of

HERE = Place("mine.jsonl", 3)
CONLLU = """1\tDogs\tdog\tNOUN\tNNS\tNumber=Plur\t2\tnsubj\t_\t_
2\tbark\tbark\tVERB\t_\t_\t0\troot\t_\t_
"""


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_every_form_of_a_tree_gives_the_same_tree(tmp_path):
    nested = {"w": "a", "children": [{"w": "b"}, {"w": "c", "children": [{"w": "d"}]}]}
    listed = [{"w": word} for word in "abcd"]
    numbers, ids = [-1, 0, 0, 2], [None, "n0", "n0", "n2"]
    forms = [
        nested,
        {"tree": nested},
        {"parent": numbers, "nodes": listed},
        {"parents": [None, 0, 0, 2], "w": list("abcd")},
        {"nodes": [{"id": f"n{at}", "parent": ids[at], **listed[at]} for at in range(4)]},
    ]
    text = "".join(json.dumps(form) + "\n" for form in forms)
    in_lines = list(read_trees(written(tmp_path, "mine.jsonl", text)))
    in_a_list = list(read_trees(written(tmp_path, "mine.json", json.dumps(forms, indent=1))))
    for found in (in_lines, in_a_list):
        assert len(found) == 5
        for one in found:
            assert one.edges.tolist() == [[1, 2, 3], [0, 0, 2]]
            assert list(one.nodes) == listed
    assert [one.place.line for one in in_lines] == [1, 2, 3, 4, 5]
    assert in_a_list[1].place.line > 5
    assert in_lines[4].names == ["n0", "n1", "n2", "n3"]


def test_brackets_and_words_with_heads_are_trees_with_columns(tmp_path):
    (one,) = read_trees(written(tmp_path, "mine.txt", "(3 (2 good) (1 film))"))
    assert one.nodes[0] == {"label": "3", "word": None}
    assert one.nodes[2] == {"label": "1", "word": "film"}
    (one,) = read_trees(written(tmp_path, "mine.conllu", CONLLU))
    assert one.edges.tolist() == [[0], [1]] and one.lines == [1, 2]
    dogs = {"form": "Dogs", "lemma": "dog", "upos": "NOUN", "xpos": "NNS", "deprel": "nsubj"}
    assert one.nodes[0] == {**dogs, "feats.Number": "Plur"}
    assert one.nodes[1]["xpos"] is None


def test_lists_and_objects_of_a_node_become_columns():
    one = tree_of({"v": [1, 2.5], "f": {"n": "pl"}, "words": ["a", "b"], "gone": None}, HERE)
    assert one.nodes[0] == {"v.0": 1, "v.1": 2.5, "f.n": "pl", "words": "a b", "gone": None}


def test_a_tree_a_hundred_thousand_deep_is_read(tmp_path):
    deep = 100_000
    text = '{"w":0,"children":[' * deep + '{"w":1}' + "]}" * deep
    (one,) = read_trees(written(tmp_path, "deep.jsonl", text))
    assert len(one) == deep + 1 and one.nodes[-1] == {"w": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ('{"a": 1}\n{"a":', "line 2, column 6: not JSON"),
        ("[1]", "line 1: 1, expected an object"),
        ('{"a": 1, "a": 2}', "key 'a' is there twice"),
        ('{"a": Infinity}', "Infinity is no number in JSON: write null"),
        ('{"parent": [1, 0], "w": [1, 2]}', "node 0, with parent 1, is part of a cycle"),
        ('{"parent": [-1, 1], "w": [1, 2]}', "node 1, with parent 1, is part of a cycle"),
        (
            '{"nodes": [{"id": "a", "parent": "b"}, {"id": "b", "parent": "a"}]}',
            "node 'a', with parent 'b', is part of a cycle",
        ),
        (
            '{"nodes": [{"id": "a", "parent": null}, {"id": "b", "parent": null}]}',
            "nodes ['a', 'b'] have no parent",
        ),
        ('{"parent": [-1, -1], "w": [1, 2]}', "nodes [0, 1] have no parent: a tree has one root"),
        ('{"parent": [-1, 5], "w": [1, 2]}', "the parent of node 1 is 5, expected a node's number"),
        ('{"parent": [-1, true], "w": [1, 2]}', "the parent of node 1 is True"),
        ('{"parent": [-1, 0], "nodes": [{"w": 1}]}', "1 nodes and 2 parents"),
        ('{"parent": [-1, 0], "w": [1]}', "w has 1 values for 2 nodes"),
        ('{"nodes": [{"id": 1}, {"id": "1"}]}', "nodes 0 and 1 have the same id '1'"),
        ('{"nodes": [{"id": 1}, {"id": 2, "parent": 7}]}', "the parent of node '2' is 7"),
        ('{"nodes": []}', "nodes is a list of 0 values"),
        ('{"children": 3}', "children of node 0 is 3, expected a list"),
        ('{"children": ["a"]}', "a child of node 0 is 'a', expected an object"),
        ('{"w": {"a": [1]}}', "w.a is a list of 1 values"),
        ('{"tree": 3}', "tree is 3, expected an object, or a text in brackets"),
        ('{"tree": "(S (NP a)"}', "a bracket is not closed"),
        ('{"y": 1, "tree": {"y": 2, "nodes": [{"parent": null}]}}', "key 'y' is there twice"),
    ],
)
def test_a_wrong_tree_is_refused_with_its_place(tmp_path, text, said):
    path = written(tmp_path, "mine.jsonl", text)
    with pytest.raises(ValueError) as error:
        list(read_trees(path))
    assert str(path) in str(error.value) and said in str(error.value)


def test_a_file_that_is_no_text_or_not_complete_is_refused(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b'{"a": 1}\n\xff\xfe')
    with pytest.raises(ValueError, match="line 2: not text in UTF-8"):
        list(read_trees(path))
    packed = tmp_path / "mine.jsonl.gz"
    packed.write_bytes(b"\x1f\x8b not gzip")
    with pytest.raises(ValueError, match="cannot be read"):
        list(read_trees(packed))


def graph():
    found = nx.Graph(label="x")
    found.add_node("a", v=1.5, kind="C")
    found.add_node("b", v=2.0, kind="O")
    found.add_edge("a", "b", bond=2)
    return found


def test_graphml_json_and_networkx_give_the_same_graph(tmp_path):
    nx.write_graphml(graph(), tmp_path / "mine.graphml")
    (from_xml,) = read_graphml(tmp_path / "mine.graphml")
    from_json = graph_of(nx.node_link_data(graph()), HERE)
    for one in (from_xml, from_json, shape_of(graph(), HERE, trees=False)):
        assert one.edges.tolist() == [[0], [1]] and one.names == ["a", "b"]
        assert list(one.nodes) == [{"v": 1.5, "kind": "C"}, {"v": 2.0, "kind": "O"}]
        assert list(one.links) == [{"bond": 2}] and one.own == {"label": "x"}
        assert one.directed is False


def test_defaults_of_graphml_are_read(tmp_path):
    text = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="k" for="node" attr.name="kind" attr.type="string"><default>C</default></key>
<key id="w" for="edge" attr.name="w" attr.type="int"/>
<graph id="g" edgedefault="directed"><node id="a"/><node id="b"><data key="k">O</data></node>
<edge source="a" target="b"><data key="w"> 3 </data></edge></graph></graphml>"""
    (one,) = read_graphml(written(tmp_path, "mine.graphml", text))
    assert list(one.nodes) == [{"kind": "C"}, {"kind": "O"}]
    assert list(one.links) == [{"w": 3}] and one.own == {"id": "g"} and one.directed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nope", "line 1: not XML"),
        ("<a/>", "has no <graph>"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><graphml/>', "a document type or an entity"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><graphml/>', "a document type or an entity"),
        ('<graphml><graph><node id="a"/><edge source="a" target="z"/></graph></graphml>',
         "the target of edge 0 is 'z', expected the id of one of its 1 nodes"),
        ('<graphml><graph><node id="a"/><node id="a"/></graph></graphml>', "the same id 'a'"),
        ("<graphml><graph/></graphml>", "a graph without nodes"),
        ("<graphml><graph><hyperedge/></graph></graphml>", "a hyperedge"),
        ('<graphml><graph><node id="a"><graph/></node></graph></graphml>', "within a graph"),
        ('<graphml><graph><node id="a"><data key="q">1</data></node></graph></graphml>',
         "key 'q', which the file does not declare"),
        ('<graphml><key id="q" attr.name="w" attr.type="int"/><graph><node id="a">'
         '<data key="q">x</data></node></graph></graphml>', "data of 'w' is 'x'"),
    ],
)  # fmt: skip
def test_wrong_graphml_is_refused_with_its_place(tmp_path, text, said):
    with pytest.raises(ValueError) as error:
        list(read_graphml(written(tmp_path, "mine.graphml", text)))
    assert said in str(error.value) and "mine.graphml" in str(error.value)


def test_rows_of_a_data_are_those_of_nodes_edges_and_the_graph():
    edges = torch.tensor([[0, 1], [1, 0]])
    whole = Data(x=torch.ones(2, 2), edge_index=edges, edge_attr=torch.ones(2), y=torch.tensor([3]))
    one = shape_of(whole, HERE, trees=False)
    assert one.nodes[0] == {"x.0": 1.0, "x.1": 1.0}
    assert one.links[1] == {"edge_attr": 1.0} and one.own == {"y": 3}
    per_node = Data(x=torch.ones(2, 2), edge_index=edges, y=torch.tensor([3, 4]))
    one = shape_of(per_node, HERE, trees=False)
    assert one.nodes[1] == {"x.0": 1.0, "x.1": 1.0, "y": 4} and one.own == {}


def test_matrices_of_a_data_set_of_others_are_read():
    record = {"num_nodes": 2, "edge_index": [[0], [1]], "node_feat": [[5, 6], [7, 8]],
              "edge_attr": [[1]], "y": [[0]]}  # fmt: skip
    one = graph_of(record, HERE)
    assert one.nodes[1] == {"node_feat.0": 7, "node_feat.1": 8}
    assert list(one.links) == [{"edge_attr.0": 1}] and one.own == {"y": 0}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, "expected nodes (or num_nodes) and edges"),
        ({"nodes": [{}], "edges": [[0, 1]]}, "the target of edge 0 is 1, expected a node's number"),
        ({"nodes": [{"id": 5}], "edges": [[5, 6]]}, "the target of edge 0 is 6, expected the id"),
        ({"nodes": [{}], "edges": [[0]]}, "edge 0 is a list of 1 values, expected a pair"),
        ({"nodes": [], "edges": []}, "a graph without nodes"),
        ({"nodes": [1], "edges": []}, "entry 0 of nodes is 1"),
        ({"nodes": [{"id": 1}, {}], "edges": []}, "node 1: some nodes have an id"),
        ({"num_nodes": -1, "edges": []}, "num_nodes is -1"),
        ({"num_nodes": 10**12, "edges": []}, "num_nodes is 1000000000000"),
        ({"num_nodes": 3, "edge_index": [[0], [1, 2]]}, "two lists of the same length"),
        ({"edge_index": [[0], [1]], "x": [[1], [1, 2]]}, "row 1 of x"),
        ({"nodes": [{}], "edges": [], "directed": 3}, "directed is 3, expected true or false"),
    ],
)  # fmt: skip
def test_a_wrong_graph_is_refused_with_its_place(record, said):
    with pytest.raises(ValueError) as error:
        graph_of(record, HERE)
    assert str(error.value).startswith("mine.jsonl, line 3: ") and said in str(error.value)


def test_edges_both_ways_keep_the_features_of_the_first():
    edges, which = both_ways(np.array([[0, 1, 2, 2, 1], [1, 0, 2, 1, 2]]))
    assert sorted(zip(*edges.tolist(), which.tolist(), strict=True)) == [
        (0, 1, 0), (1, 0, 1), (1, 2, 4), (2, 1, 3),
    ]  # fmt: skip


TU = {
    "A": "1, 2\n2, 1\n4, 3\n3, 4\n",
    "graph_indicator": "1\n1\n2\n2\n",
    "graph_labels": "-1\n1\n",
    "node_labels": "0\n1\n0\n0\n",
    "node_attributes": "0.5, 1\n1, 1\n2, 2\n3, 3\n",
    "edge_labels": "7\n7\n8\n9\n",
}


def tu(folder, **changed):
    for name, text in {**TU, **changed}.items():
        written(folder, f"MINE_{name}.txt", text)
    start = tu_folder.find_name(folder)
    assert start is not None
    return list(tu_folder.read_tu(start))


def test_a_folder_of_tudataset_is_read(tmp_path):
    first, second = tu(tmp_path)
    assert first.edges.tolist() == [[0, 1], [1, 0]] and second.edges.tolist() == [[1, 0], [0, 1]]
    assert first.own == {"id": "1", "label": "-1"} and second.own["label"] == "1"
    assert first.nodes[1] == {"node_label": "1", "attribute.0": 1.0, "attribute.1": 1.0}
    assert [link["edge_label"] for link in second.links] == ["8", "9"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"A": "1, 9\n"}, "A.txt, line 1: a node is 9, expected one from 1 to 4"),
        ({"A": "1, 3\n"}, "A.txt, line 1: an edge from graph 1 to graph 2"),
        ({"A": "1; 2\n"}, "A.txt, line 1: '1; 2', expected 2 whole numbers"),
        ({"graph_indicator": "1\n1\n3\n3\n"}, "line 3: the graph is 3, expected 1 or 2"),
        ({"graph_indicator": "2\n1\n1\n1\n"}, "line 1: the graph is 2, expected 1"),
        ({"graph_indicator": ""}, "is empty"),
        ({"graph_labels": "1\n"}, "graph_labels.txt has 1 rows for 2 graphs"),
        ({"node_attributes": "1\n2\nx\n4\n"}, "node_attributes.txt, line 3: 'x'"),
    ],
)
def test_a_wrong_folder_of_tudataset_is_refused(tmp_path, changed, said):
    with pytest.raises(ValueError) as error:
        tu(tmp_path, **changed)
    assert said in str(error.value)


def test_networkx_may_hold_numbers_of_numpy_and_torch():
    found = nx.DiGraph(label=np.int64(1))
    found.add_node("a", size=np.float32(0.5), at=(1, 2))
    found.add_node("b", size=torch.tensor(2.0), at=np.array([3, 4]))
    found.add_edge("b", "a", weight=np.int32(7))
    one = shape_of(found, HERE, trees=True)
    assert one.own == {"label": 1} and one.links == [{"weight": 7}]
    assert one.nodes == [
        {"size": 0.5, "at.0": 1, "at.1": 2},
        {"size": 2.0, "at.0": 3, "at.1": 4},
    ]
    found.nodes["a"]["size"] = object()
    with pytest.raises(ValueError, match=r"mine.jsonl, line 3: size is .*, expected a text"):
        shape_of(found, HERE, trees=True)


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ([(0, 1), (1, 0)], "is part of a cycle"),
        ([(0, 1), (0, 2)], "node 0 has the parents 1 and 2"),
        ([(0, 1)], "have no parent: a tree has one root"),
    ],
)
def test_what_is_no_tree_in_memory_is_refused(edges, said):
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(3))
    index = torch.tensor(edges).T
    for one in (graph, Data(edge_index=index, num_nodes=3)):
        with pytest.raises(ValueError, match=f"line 3: .*{said}"):
            shape_of(one, HERE, trees=True)
        assert len(shape_of(one, HERE, trees=False)) == 3
    with pytest.raises(ValueError, match="have no direction"):
        shape_of(nx.path_graph(3), HERE, trees=True)
    with pytest.raises(ValueError, match="a graph without nodes"):
        shape_of(nx.Graph(), HERE, trees=False)


def test_a_data_with_as_many_numbers_to_predict_as_nodes_has_them_itself():
    ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
    both = [Data(x=torch.ones(n, 1), edge_index=ring[:, :n], y=torch.ones(3)) for n in (3, 4)]
    for one in shapes_of(both, trees=False):
        assert one.own == {"y.0": 1, "y.1": 1, "y.2": 1} and "y" not in one.nodes[0]
    (alone,) = shapes_of(both[:1], trees=False)
    assert alone.nodes[0]["y"] == 1


def test_times_of_tables_and_words_such_as_null_are_values(tmp_path):
    written(tmp_path, "nodes.csv", "id,since\n1,2017-08-15\n2,2018-01-02\n")
    written(tmp_path, "edges.csv", "source,target\n1,2\n")
    (one,) = read_folder(tmp_path)
    columns = columns_of([one])
    assert columns.nodes.columns["since"].dtype.kind == "M"
    words = [tree_of({"word": word}, HERE) for word in ("null", "NA", "b")]
    assert columns_of(words).nodes.columns["word"].tolist() == ["null", "NA", "b"]


def test_mistakes_of_tables_are_told_with_their_lines(tmp_path):
    written(tmp_path, "nodes.csv", "id,a\n1,1\n2,1\n1,2\n")
    written(tmp_path, "edges.csv", "source,target\n1,2\n")
    with pytest.raises(ValueError, match=r"nodes.csv, line 4: nodes 0 and 2 have the same id '1'"):
        list(read_folder(tmp_path))
    written(tmp_path, "nodes.csv", "id,a\n1,1\n2,1\n")
    written(tmp_path, "edges.csv", "source,target\n1,2\n1,77\n")
    with pytest.raises(
        ValueError, match=r"edges.csv, line 3: the target of edge 1 is 77, expected"
    ):
        list(read_folder(tmp_path))
