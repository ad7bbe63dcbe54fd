"""Samples of JSON objects, by the method of a task or of its texts."""

import pytest

import structnet as sn

PLACE = sn.Origin("request", 3, "")


class Words(sn.Task):
    structures = ("sequence",)

    def load(self, topology):
        return {}

    def read_text(self, text, topology):
        return sn.Sample(len(text.text.split()), text.text.split(), sn.IGNORE, origin=text)


class Plain(sn.Task):
    structures = ("sequence",)

    def load(self, topology):
        return {}


def test_a_task_that_reads_texts_reads_an_object_with_one():
    sample = Words().read_record({"text": "a b c"}, PLACE, sn.topologies.create("chain"))
    assert sample.structure == 3
    assert (sample.origin.path, sample.origin.line, sample.origin.text) == ("request", 3, "a b c")


@pytest.mark.parametrize("record", [{}, {"text": 3}, {"text": "a", "label": "b"}])
def test_another_object_is_refused_with_its_place(record):
    with pytest.raises(ValueError, match=r'request, line 3: expected ."text": "\.\.\.". alone'):
        Words().read_record(record, PLACE, sn.topologies.create("chain"))


def test_a_task_without_texts_says_so():
    assert not Plain().reads_records
    with pytest.raises(ValueError, match="makes no samples of JSON objects"):
        Plain().read_record({}, PLACE, sn.topologies.create("chain"))
