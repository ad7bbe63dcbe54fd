"""Decoding: beam search beside all sequences, draws beside the definition of what is drawn from."""

import itertools
import math

import numpy as np
import pytest
import torch

from structnet.plugins.sequence.generation.beams import beam_search, length_penalty
from structnet.plugins.sequence.generation.sampling import ENDED, narrowed, sample
from structnet.plugins.sequence.generation.stepping import follow, log_probs, nats


class Table:
    """A net whose next scores depend on all tokens before: a stepper by definition."""

    def __init__(self, classes, batch=1, seed=0, spread=2.0):
        self.classes, self.seed, self.spread = classes, seed, spread
        self.rows = [()] * batch

    def scores(self, tokens):
        random = np.random.default_rng([self.seed, len(tokens), *tokens])
        return torch.from_numpy(random.normal(0, self.spread, self.classes))

    def push(self, x):
        assert len(x) == len(self.rows)
        self.rows = [(*row, token) for row, token in zip(self.rows, x.tolist(), strict=True)]
        return torch.stack([self.scores(row) for row in self.rows])

    def keep(self, rows):
        self.rows = [self.rows[row] for row in rows.tolist()]

    def log_prob(self, start, tokens):
        sums = 0.0
        for at, token in enumerate(tokens):
            sums += self.scores((*start, *tokens[:at])).log_softmax(0)[token].item()
        return sums


def all_sequences(table, start, length, end, penalty, banned=()):
    """(tokens, score) of every sequence that ends with `end` or has the length, best first."""
    found = []
    for size in range(1, length + 1):
        for tokens in itertools.product(range(table.classes), repeat=size):
            is_whole = tokens[-1] == end or size == length
            if is_whole and end not in tokens[:-1] and not set(banned) & set(tokens):
                score = table.log_prob(start, tokens) / length_penalty(size, penalty)
                found.append((tokens, score))
    return sorted(found, key=lambda one: -one[1])


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
@pytest.mark.parametrize(("classes", "length"), [(3, 4), (2, 1), (4, 3)])
def test_beams_as_many_as_sequences_find_all_of_them(classes, length, penalty):
    start, end = (1,), 0
    expected = all_sequences(Table(classes), start, length, end, penalty)
    table = Table(classes)
    (found,) = beam_search(
        table, follow(table, start), beams=classes**length, length=length, penalty=penalty,
        judge=lambda tokens: "end" if tokens[-1] == end else "on",
    )  # fmt: skip
    assert [one.tokens for one in found] == [tokens for tokens, _ in expected]
    assert [one.score for one in found] == pytest.approx([score for _, score in expected])
    for one in found:
        assert one.log_prob == pytest.approx(table.log_prob(start, one.tokens))


def by_definition(table, start, beams, length, end):
    """Beam search without length penalty, one sequence at a time."""
    on, complete = [()], []
    for step in range(1, length + 1):
        longer = [(*tokens, one) for tokens in on for one in range(table.classes)]
        longer.sort(key=lambda tokens: -table.log_prob(start, tokens))
        on = []
        for tokens in longer:
            if len(on) == beams:
                break
            if tokens[-1] == end and step < length:
                complete.append(tokens)
            else:
                on.append(tokens)
    return sorted([*complete, *on], key=lambda tokens: -table.log_prob(start, tokens))[:beams]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beams", [1, 2, 5])
def test_a_narrow_beam_is_that_of_the_definition_for_each_of_several_starts(beams, seed):
    table = Table(6, batch=3, seed=seed)
    starts = [2, 0, 5]
    found = beam_search(
        table, table.push(torch.tensor(starts)), beams=beams, length=5, penalty=0,
        judge=lambda tokens: "end" if tokens[-1] == 3 else "on",
    )  # fmt: skip
    for start, hypotheses in zip(starts, found, strict=True):
        expected = by_definition(Table(6, seed=seed), (start,), beams, 5, 3)
        assert [one.tokens for one in hypotheses] == expected


def test_what_is_banned_or_dropped_is_in_no_sequence():
    expected = all_sequences(Table(4), (0,), 3, 9, 0.6, banned=[2])
    expected = [tokens for tokens, _ in expected if tokens[0] != 1]
    table = Table(4)
    (found,) = beam_search(
        table, follow(table, (0,)), beams=64, length=3, banned=[2],
        judge=lambda tokens: "drop" if tokens[0] == 1 else "on",
    )  # fmt: skip
    assert [one.tokens for one in found] == expected and len(expected) == 2 * 3 * 3


def test_no_sequence_is_found_where_all_are_dropped():
    table = Table(3)
    assert beam_search(table, follow(table, (0,)), beams=2, length=4, judge=lambda _: "drop") == [
        []
    ]


def kept_by_definition(shares, k, p):
    """Indices of the k most probable, then of the fewest of these whose shares sum to p."""
    best = sorted(range(len(shares)), key=lambda one: (-shares[one], one))[:k]
    total = sum(shares[one] for one in best)
    for count in range(1, len(best) + 1):
        if sum(shares[one] for one in best[:count]) / total >= p:
            return best[:count]
    return best


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("k", "p"), [(None, 1.0), (1, 1.0), (3, 1.0), (None, 0.5), (4, 0.9),
                                      (99, 0.01), (None, 0.999)])  # fmt: skip
def test_top_k_and_top_p_keep_what_their_definitions_say(temperature, k, p):
    known = torch.randn(5, 7, dtype=torch.float64).log_softmax(1)
    # Ties, and a token that is banned.
    known[1, 2:5] = known[1, 2]
    known[2, 0] = -torch.inf
    found = narrowed(known, temperature=temperature, top_k=k, top_p=p)
    for row, shares in zip(known, found, strict=True):
        scaled = (row / temperature).softmax(0).tolist()
        kept = kept_by_definition(scaled, k, p)
        total = sum(scaled[one] for one in kept)
        expected = [scaled[one] / total if one in kept else 0.0 for one in range(7)]
        assert shares.tolist() == pytest.approx(expected)


def test_temperature_zero_is_the_most_probable_and_tiny_ones_overflow_nothing():
    known = torch.tensor([[-1e4, -2.0, -0.1, -torch.inf]], dtype=torch.float64)
    for temperature in (0.0, 1e-300):
        assert narrowed(known, temperature=temperature).tolist() == [[0, 0, 1, 0]]


def test_draws_have_the_frequencies_of_the_distribution():
    known = torch.tensor([[0.5, 0.2, 0.0, 0.3]], dtype=torch.float64).log()
    table = Table(4, batch=4000)
    (drawn,) = sample(table, known.expand(4000, 4), length=1, top_k=2)
    counts = np.bincount(drawn, minlength=4) / 4000
    assert counts[[1, 2]].tolist() == [0, 0]
    assert counts[0] == pytest.approx(0.5 / 0.8, abs=4 * math.sqrt(0.24 / 4000))


def drawn(batch, **options):
    table = Table(5, batch=batch)
    output = table.push(torch.tensor([1] * batch))
    return list(zip(*sample(table, output, **options), strict=True)), table


def test_a_row_does_not_depend_on_how_many_others_there_are():
    many, _ = drawn(4, length=6, seed=3)
    one, _ = drawn(1, length=6, seed=3)
    assert many[0] == one[0] and len(set(many)) == 4
    assert drawn(4, length=6, seed=4)[0] != many


def test_a_row_ends_with_the_token_that_ends_it():
    rows, table = drawn(6, length=40, ends=lambda tokens: tokens[-1] == 2, banned=[4])
    assert {len(row) for row in rows} == {max(row.index(2) for row in rows) + 1}
    for row in rows:
        at = row.index(2)
        assert set(row[at + 1 :]) <= {ENDED} and not {4, ENDED} & set(row[:at])
    # No step is made that nothing is drawn from.
    assert len(table.rows[0]) == len(rows[0])


def test_greedy_draws_are_beam_search_with_one_beam():
    (row,), _ = drawn(1, length=7, temperature=0)
    (greedy,), _ = drawn(1, length=7, top_k=1, seed=9)
    ((found,),) = beam_search(
        again := Table(5), follow(again, (1,)), beams=1, length=7, judge=lambda _: "on"
    )
    assert row == greedy == found.tokens


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature is at least 0 and finite, got -1.0"),
        ({"temperature": math.nan}, "temperature is at least 0 and finite, got nan"),
        ({"temperature": math.inf}, "temperature is at least 0 and finite, got inf"),
        ({"top_k": 0}, "top_k is at least 1, got 0"),
        ({"top_p": 0.0}, "top_p is above 0 and at most 1, got 0.0"),
        ({"top_p": 1.5}, "top_p is above 0 and at most 1, got 1.5"),
    ],
)
def test_an_option_out_of_range_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        drawn(1, length=1, **options)


@pytest.mark.parametrize(("name", "value"), [("beams", 0), ("length", 0), ("penalty", -0.5)])
def test_an_option_of_beam_search_out_of_range_is_named(name, value):
    table = Table(3)
    options = {"beams": 2, "length": 2, name: value}
    with pytest.raises(ValueError, match=f"{name.removesuffix('s')} is at least"):
        beam_search(table, follow(table, (0,)), **options)


def test_scores_that_are_not_numbers_are_an_error():
    with pytest.raises(ValueError, match="not numbers"):
        log_probs(torch.tensor([[0.0, math.nan]]))
    with pytest.raises(ValueError, match="no tokens to begin with"):
        follow(Table(3), [])


def test_a_heads_own_scores_are_taken_as_a_tensors():
    class Halves:
        def __init__(self, scores):
            self.scores = scores

        def __len__(self):
            return len(self.scores)

        def __getitem__(self, rows):
            return Halves(self.scores[rows])

        def cross_entropy(self, y):
            return torch.nn.functional.cross_entropy(self.scores, y, reduction="none")

        def log_probs(self):
            return self.scores.log_softmax(1)

    scores = torch.randn(4, 6, dtype=torch.float64)
    assert torch.equal(log_probs(Halves(scores)), log_probs(scores))
    targets = torch.tensor([5, 0, 2, 2])
    expected = scores.log_softmax(1)[range(4), targets]
    for output in (scores, Halves(scores)):
        assert nats(output, targets).tolist() == pytest.approx(expected.tolist())
    assert list(sample(Table(6, batch=4), Halves(scores), length=1)) == list(
        sample(Table(6, batch=4), scores, length=1)
    )
