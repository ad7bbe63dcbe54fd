"""Series on their grid of times: what is inferred, filled, sorted and refused."""

import numpy as np
import pytest

from structnet.plugins.sequence.forecast.frequency import (
    Frequency,
    calendar_features,
    infer,
    spelled,
)
from structnet.plugins.sequence.forecast.series import Columns, find_series
from structnet.plugins.sequence.forecast.windows import Layout, split_origins
from structnet.plugins.tables.reading import read_table

COLUMNS = Columns("shop", "day", ("sales",))
HEAD = "shop,day,sales"


def dates(start, stop, unit="D", step=1):
    span = np.arange(np.datetime64(start, unit), np.datetime64(stop, unit), step)
    return span.astype("datetime64[us]")


def table(tmp_path, *lines, head=HEAD):
    path = tmp_path / "t.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return read_table(path)


def rows(shop, start, values):
    days = dates(start, "2030-01-01")
    return [f"{shop},{spelled(day)},{value}" for day, value in zip(days, values, strict=False)]


@pytest.mark.parametrize(
    ("times", "name", "season", "calendar"),
    [
        (dates("2024-01-01", "2024-01-09", "m", 15), "15 minutes", 96, "hour weekday month"),
        (dates("2024-01-01", "2024-02-01", "h"), "1 hour", 24, "hour weekday month"),
        (dates("2024-01-01", "2024-03-01"), "1 day", 7, "weekday month"),
        (dates("2024-01-01", "2024-06-01", "D", 7), "1 week", 52, "month"),
        (dates("2020-01", "2024-01", "M"), "1 month", 12, "month"),
        (dates("2020-01", "2024-01", "M", 3), "3 months", 4, "month"),
        # The ends of months.
        (dates("2020-02", "2024-01", "M") - np.timedelta64(1, "D"), "1 month", 12, "month"),
        (dates("2000-01", "2024-01", "M", 12), "1 year", 1, ""),
        (dates("2024-01-01", "2024-01-02", "s", 30)[:50], "30 seconds", 1, "hour weekday month"),
        (np.arange(5.0, 9.0), "1", 1, ""),
        (np.arange(12) * 0.1, "0.1", 1, ""),
    ],
)
def test_frequencies_are_inferred(times, name, season, calendar):
    gone = np.delete(times, [2])
    found = infer([gone, times[:1]])
    assert (str(found), found.season, " ".join(found.calendar())) == (name, season, calendar)
    assert found.positions(gone).tolist() == [0, 1, *range(3, len(times))]
    again = found.times(times[0], np.arange(len(times)))
    assert np.allclose(again, times) if times.dtype.kind == "f" else (again == times).all()


@pytest.mark.parametrize(
    ("days", "following"),
    [
        # The 28th of February and the 30th of April are ends of months by chance.
        (["2023-02-28", "2023-03-28", "2023-04-28"], ["2023-05-28", "2023-06-28"]),
        (["2023-04-30", "2023-05-30", "2023-06-30"], ["2023-07-30", "2023-08-30"]),
        (["2023-02-28", "2023-03-31", "2023-04-30"], ["2023-05-31", "2023-06-30"]),
        (["2023-11-29", "2023-12-29"], ["2024-01-29", "2024-02-29", "2024-03-29"]),
        (["2023-02-28"], ["2023-03-28", "2023-04-28"]),
        # The same day of a shorter month is its last.
        (["2023-01-31"], ["2023-02-28", "2023-03-31", "2023-04-30"]),
        (["2023-02-28T18:00", "2023-03-31T18:00"], ["2023-04-30T18:00", "2023-05-31T18:00"]),
    ],
)
def test_months_follow_at_their_ends_only_if_all_are_there(days, following, tmp_path):
    lines = [f"a,{day},1" for day in days]
    found = find_series(table(tmp_path, *lines), COLUMNS, Frequency(1, "month"))
    steps = np.arange(len(days) + len(following))
    assert [spelled(time) for time in found.times(found.series[0], steps)] == days + following


def test_a_series_is_at_one_day_of_months_or_at_their_ends(tmp_path):
    lines = [f"a,{day},1" for day in ("2023-02-28", "2023-03-28", "2023-04-30")]
    with pytest.raises(ValueError, match=r"line 4, column 'day': '2023-04-30', expected a whole"):
        find_series(table(tmp_path, *lines), COLUMNS, Frequency(1, "month"))


def test_frequencies_as_they_are_written():
    written = {"15min": "15 minutes", "1h": "1 hour", "2w": "2 weeks", "1mo": "1 month",
               "1y": "1 year", "10s": "10 seconds", "0.5": "0.5"}  # fmt: skip
    assert {text: str(Frequency.of(text)) for text in written} == written
    for text in ("0h", "h", "-1", "nan", "1 fortnight"):
        with pytest.raises(ValueError, match="'frequency' is a step such as"):
            Frequency.of(text)
    with pytest.raises(ValueError, match="no series has two times"):
        infer([np.arange(1.0)])


def test_numbers_that_are_times_are_spelled_with_all_digits_that_were_written():
    times = Frequency.of("0.1").times(1234567.0, np.arange(4))
    assert [spelled(time) for time in times] == ["1234567", "1234567.1", "1234567.2", "1234567.3"]
    assert spelled(0.1 * 3) == "0.3"


def test_the_calendar_goes_round():
    hours = dates("2024-01-01", "2024-01-15", "h")
    features = calendar_features(hours, ["hour", "weekday"])
    assert features.shape == (14 * 24, 8) and features.dtype == np.float32
    assert np.allclose(features[0], features[7 * 24]) and not np.allclose(features[0], features[24])
    # Midnight on a Monday.
    assert np.allclose(features[0], [0, 1, 0, 1, 0, 1, 0, 1], atol=1e-6)
    assert calendar_features(hours, []).shape == (14 * 24, 0)


def test_rows_are_sorted_and_gaps_are_missing(tmp_path):
    lines = [*rows("a", "2024-01-01", [1, 2, 3]), "b,2024-01-03,8", "b,2024-01-01,9",
             "b,2024-01-06,7", "a,2024-01-04,", "a,2024-01-05,5", "a,2024-01-06,"]  # fmt: skip
    found = find_series(table(tmp_path, *lines), COLUMNS, None)
    a, b = found.series
    assert (a.name, a.length, str(found.frequency)) == ("a", 5, "1 day")
    assert np.array_equal(a.values[:, 0], [1, 2, 3, np.nan, 5, np.nan], equal_nan=True)
    assert np.array_equal(b.values[:, 0], [9, *[np.nan] * 1, 8, np.nan, np.nan, 7], equal_nan=True)
    assert b.rows.tolist() == [4, -1, 3, -1, -1, 5]
    assert found.notes == [
        "sorted by day: rows were out of order at 1 places",
        "missing: 4 of 11 steps, 3 of them without a row",
    ]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["a,2024-01-01,1", "a,2024-01-02,x"], {}, r"line 3, column 'sales': 'x', expected a num"),
        (["a,2024-01-01,1", "a,2024-01-02,inf"], {}, r"line 3, column 'sales': inf, expected a fi"),
        (["a,2024-01-01,1", "a,,2"], {}, r"line 3, column 'day': no value, expected a time such"),
        (["a,2024-01-01,1", "a,soon,2"], {}, r"line 3, column 'day': 'soon', expected a time"),
        (["a,2024-01-01,1", ",2024-01-02,2"], {}, r"line 3, column 'shop': no value, expected the"),
        (
            ["a,2024-01-01,1", "b,2024-01-01,2", "a,2024-01-02,3", "a,2024-01-01,4"], {},
            r"line 5, column 'day': '2024-01-01', expected a time that series 'a' has once, it is "
            "also at line 2: keep one",
        ),
        (
            ["a,2024-01-02,1", "a,2024-01-01,2"], {"unordered": "refuse"},
            r"line 3, column 'day': '2024-01-01', expected a time of series 'a' after 2024-01-02",
        ),
        (
            [*rows("a", "2024-01-01", [1, 2, 3]), "a,2024-01-07,9"], {"gaps": "refuse"},
            r"line 5, column 'day': '2024-01-07', expected a row of series 'a' for 2024-01-04",
        ),
        (
            [*rows("a", "2024-01-01", [1, 2, 3]), "a,2024-01-04T07:00,9"], {},
            r"line 5, column 'day': '2024-01-04T07:00', expected a whole number of steps of 1 day",
        ),
        (
            [*rows("a", "2024-01-01", [1, 2, 3]), "a,3024-01-04,9"], {},
            r"line 5, column 'day': '3024-01-04', expected a time nearer to the row before",
        ),
        (
            ["a,2024-01-01,1", "a,2024-01-02,1"], {"frequency": Frequency(1, "number")},
            "column 'day' has times, whose steps are not those of 1: set task.frequency",
        ),
    ],
)  # fmt: skip
def test_what_is_no_series_is_refused(tmp_path, lines, options, message):
    given = {"frequency": None, **options}
    with pytest.raises(ValueError, match=message):
        find_series(table(tmp_path, *lines), COLUMNS, given.pop("frequency"), **given)


def test_columns_are_named_that_are_missing_or_have_two_roles(tmp_path):
    data = table(tmp_path, *rows("a", "2024-01-01", [1, 2]))
    with pytest.raises(ValueError, match=r"no column 'price', but .*set task\.past to one"):
        find_series(data, Columns("shop", "day", ("sales",), past=("price",)), None)
    with pytest.raises(ValueError, match=r"'sales' is both task\.target and task\.past"):
        find_series(data, Columns("shop", "day", ("sales",), past=("sales",)), None)


@pytest.mark.parametrize(("origins", "step"), [(1, 4), (3, 4), (3, 1), (2, 6)])
def test_no_step_is_forecast_in_two_splits(origins, step):
    layout = Layout(context=8, horizon=4, season=1)
    cut = split_origins(60, layout, origins, step, 3)
    steps = {
        split: {at + ahead for at in some for ahead in range(4)} for split, some in cut.items()
    }
    assert len(cut["test"]) == len(cut["validation"]) == origins
    assert max(steps["test"]) == 59
    assert max(steps["train"]) < min(steps["validation"])
    assert max(steps["validation"]) < min(steps["test"])
    assert max(steps["train"]) == min(steps["validation"]) - 1
    assert set(np.diff(cut["train"])) == {3} and min(cut["train"]) >= 8


def test_short_series_have_the_windows_that_they_are_long_enough_for():
    layout = Layout(context=8, horizon=4, season=1)
    assert split_origins(13, layout, 1, 4, 1) == {"train": [1], "validation": [5], "test": [9]}
    assert split_origins(9, layout, 1, 4, 1) == {"train": [], "validation": [1], "test": [5]}
    assert split_origins(5, layout, 1, 4, 1) == {"train": [], "validation": [], "test": [1]}
    assert split_origins(4, layout, 1, 4, 1) == {"train": [], "validation": [], "test": []}
