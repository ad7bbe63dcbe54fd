"""N-gram models with modified Kneser-Ney smoothing."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from nltk.lm import KneserNeyInterpolated
from nltk.util import everygrams

from structnet.plugins.sequence.language.kneser_ney import KneserNey, estimate

TEXT = np.array([*b"a rose is a rose is a rose; so is a nose, as a nose goes"], np.int64) % 11


def log_probability(model, context, token):
    return model.log_probabilities(np.array([*context, token]))[-1]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_one_after_every_context(order):
    model = KneserNey(TEXT, order, size=13)
    for context in [(), (3,), (12,), (3, 12), *(tuple(TEXT[i : i + 4]) for i in range(50))]:
        total = sum(np.exp(log_probability(model, context, token)) for token in range(13))
        assert total == pytest.approx(1, abs=1e-12), context


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_one_discount_gives_the_probabilities_of_nltk(order):
    words = [*map(str, TEXT)]
    nltk = KneserNeyInterpolated(order, discount=0.3)
    nltk.fit([everygrams(words, max_len=order)], vocabulary_text=words)
    # NLTK does not discount single words, and counts those of a unigram model by their contexts.
    discounts = [[0.0] * 3, *[[0.3] * 3] * (order - 1)]
    mine = KneserNey(TEXT, order, size=11, discounts=discounts)
    for place in range(order, len(TEXT)):
        context, token = TEXT[place - order + 1 : place], TEXT[place]
        if order > 1:
            expected = nltk.score(str(token), tuple(map(str, context)))
        else:
            expected = np.mean(token == TEXT)
        assert np.exp(log_probability(mine, context, token)) == pytest.approx(expected, abs=1e-12)


def defined(order, size):
    """The model by its definition, Chen and Goodman (1999), equations 21 to 26: context -> p."""
    grams = [
        Counter(tuple(TEXT[i : i + n]) for i in range(len(TEXT) - n + 1)) for n in range(order + 1)
    ]

    def count(gram):
        if len(gram) == order:
            return grams[order][gram]
        return sum(longer[1:] == gram for longer in grams[len(gram) + 1])

    counted = [{gram: count(gram) for gram in of} for of in grams]
    discounts = [estimate(np.array([*of.values()])) for of in counted]

    def probability(context, token):
        n = len(context) + 1
        after = {gram: c for gram, c in counted[n].items() if gram[:-1] == context and c}
        lower = probability(context[1:], token) if context else 1 / size
        if not after:
            return lower
        discount = {gram: discounts[n][min(c, 3) - 1] for gram, c in after.items()}
        gram, total = (*context, token), sum(after.values())
        mine = (after[gram] - discount[gram]) / total if gram in after else 0
        return mine + sum(discount.values()) / total * lower

    return probability


@pytest.mark.parametrize("order", [1, 2, 3])
def test_discounts_by_count_give_the_probabilities_of_the_definition(order):
    probability, model = defined(order, size=12), KneserNey(TEXT, order, size=12)
    contexts = {tuple(TEXT[i : i + order - 1]) for i in range(len(TEXT) - order + 2)}
    for context, token in product(sorted(contexts), range(12)):
        expected = probability(context, token)
        assert np.exp(log_probability(model, context, token)) == pytest.approx(expected, abs=1e-12)


def test_a_text_is_scored_as_its_tokens_one_by_one():
    model, text = KneserNey(TEXT, 4, size=12), np.array([0, 3, 11, 3, 5, 1, 0])
    whole = model.log_probabilities(text)
    assert len(whole) == 7 and np.isfinite(whole).all()
    for place in range(7):
        assert whole[place] == log_probability(model, text[max(0, place - 3) : place], text[place])


def test_a_text_shorter_than_the_order_is_counted():
    probability = np.exp(KneserNey(np.array([1, 1]), 5, size=3).log_probabilities(np.array([1])))
    assert 1 / 3 < probability[0] < 1
    assert KneserNey(np.array([0]), 2, size=1).log_probabilities(np.array([0, 0])).tolist() == [
        0,
        0,
    ]


def test_discounts_are_between_zero_and_the_count():
    # Of counts 1, 1, 1, 1, 2, 2, 3 and 4: Y = 4 / 8.
    assert estimate(np.array([1, 1, 1, 1, 2, 2, 3, 4])) == pytest.approx([0.5, 1.25, 1])
    assert estimate(np.array([1, 2, 2, 2, 2, 9])) == pytest.approx(
        [1 - 8 / 9, 2 - 1 / 12, 3 - 4 / 9]
    )


@pytest.mark.parametrize(
    ("ids", "order", "message"),
    [([1], 0, "at least 1 token, got order 0"), ([], 1, "no tokens"), ([3], 1, "0 to 2, got 3")],
)
def test_what_can_not_be_counted_is_refused(ids, order, message):
    with pytest.raises(ValueError, match=message):
        KneserNey(np.array(ids, np.int64), order, size=3)
