"""Input layers: embeddings that start from a file of vectors, and one-hot input."""

import pytest
import torch
from commands import call, opened, refused

import structnet as sn

WORDS = sn.Vocabulary({"a": 3, "b": 2, "c": 1})
SIZES = sn.Sizes(WORDS, None, 2)
FAST = ("task=xml", "topology=chain", "task.train_size=20", "trainer.max_steps=1", "--quiet")


def net_of(vectors, **options):
    torch.manual_seed(0)
    return sn.nets.create("stack", SIZES, "chain", "gru", "root", vectors=vectors, **options)


def test_words_of_the_file_start_from_its_vectors_and_others_at_random(tmp_path):
    (tmp_path / "v.txt").write_text("c 1 2 3\nz 9 9 9\na 4 5 6\n")
    net, other = (net_of(v, embedding_size=3) for v in (str(tmp_path / "v.txt"), None))
    assert net.input.weight[[1, 3]].tolist() == [[4, 5, 6], [1, 2, 3]]
    assert torch.equal(net.input.weight[[0, 2]], other.input.weight[[0, 2]])


def test_vectors_of_another_width_than_the_embeddings_are_an_error(tmp_path):
    (tmp_path / "v.txt").write_text("a 4 5 6\n")
    with pytest.raises(ValueError, match=r"vectors of 3 numbers.*set net\.embedding_size=3"):
        net_of(str(tmp_path / "v.txt"), embedding_size=4)
    with pytest.raises(ValueError, match="learned embeddings"):
        net_of(str(tmp_path / "v.txt"), input="onehot")


@pytest.mark.slow
def test_a_trained_net_needs_its_file_of_vectors_no_more(tmp_path):
    file = tmp_path / "v.txt"
    file.write_text("< 4 5 6\n")
    words = (*FAST, "net.embedding_size=3", f"net.vectors={file}")
    assert call("train", *words, f"run={tmp_path / 'run'}").status == 0
    file.unlink()
    opened(tmp_path / "run").load_net()
    # Before any data is read.
    assert "v.txt" in refused("train", *words, f"run={tmp_path / 'other'}")


def test_embeddings_start_large_where_tokens_are_frequent_and_the_head_has_its_own():
    frequent, rare = (sn.Vocabulary({f"{n}": seen for n in range(99)}) for seen in (2000, 20))
    for vocabulary, tied, std in ((frequent, False, 1), (rare, False, 0.3), (frequent, True, 0.3)):
        torch.manual_seed(0)
        sizes = sn.Sizes(vocabulary, None, len(vocabulary))
        net = sn.nets.create("stack", sizes, "chain", "gru", "every", tied=tied)
        assert net.input.weight.std().item() == pytest.approx(std, rel=0.05)
