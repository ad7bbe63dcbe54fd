"""Own tables: what is read, what columns are, and what is refused by place and value."""

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pytest

import structnet as sn
from structnet.plugins.files.splits import SPLITS, Folds
from structnet.plugins.tables.reading import read_table
from structnet.plugins.tables.schema import Schema
from structnet.plugins.tables.splitting import Splitting, named_splits
from structnet.plugins.tables.table import table_of
from structnet.plugins.tables.targets import classes_of, encode_classes, encode_numbers, infer_goal
from structnet.plugins.tables.values import as_number, names_of

ROWS = "id,when,pulse,drug,note,zip\na,2024-05-01,71.5,x,feels quite well,007\n" \
       "a,2024-05-02T12:00,,y,some pain here,010\nb,2024-05-03,80,x,NA,123\n"  # fmt: skip


def table_in(folder, text, name="a.csv"):
    path = folder / name
    path.write_text(text)
    return read_table(path)


def all_rows(table):
    return np.ones(len(table), bool)


def test_values_are_numbers_times_or_names(tmp_path):
    table = table_in(tmp_path, ROWS)
    pulse = table.columns["pulse"].tolist()
    assert pulse[::2] == [71.5, 80] and np.isnan(pulse[1])
    assert str(table.columns["when"][1]) == "2024-05-02T12:00:00.000000"
    assert table.columns["zip"].tolist() == ["007", "010", "123"]
    assert table.columns["note"].tolist() == ["feels quite well", "some pain here", None]
    assert table.place(1).endswith("a.csv, line 3")


def test_a_category_that_is_another_in_every_row_is_told_unless_it_is_named(tmp_path):
    text = "".join(f"s{n},{'ab'[n % 2]}\n" for n in range(60))
    (tmp_path / "a.csv").write_text(f"serial,kind\n{text}")
    table = read_table(tmp_path / "a.csv")
    rows = np.arange(len(table))
    said = r"a\.csv: column 'serial' has 60 different values in 60 training rows, and tells nothing"
    with pytest.warns(sn.DataWarning, match=said):
        Schema.learn(table, rows, ["serial", "kind"], {})
    Schema.learn(table, rows, ["serial", "kind"], {"serial": "category"})
    Schema.learn(table, rows[:40], ["serial", "kind"], {})


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    table = read_table(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"a\.csv has no column 'y', but 'a', 'b'; add it$"):
        table.names("y")
    with pytest.raises(ValueError, match=r"add it, or set task\.id to one of these before"):
        table.names("y", "task.id")
    left = read_table(tmp_path / "a.csv", ignore=("b",))
    with pytest.raises(ValueError, match=r"task\.id names 'b', which task\.ignore leaves out"):
        left.names("b", "task.id")
    with pytest.raises(ValueError, match=r"a\.csv has no column 'b', but 'a'; add it$"):
        left.names("b")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_found(tmp_path, separator):
    table = table_in(tmp_path, ROWS.replace(",", separator))
    assert list(table.columns) == ["id", "when", "pulse", "drug", "note", "zip"]


def test_every_format_gives_the_same_table(tmp_path):
    truth = table_in(tmp_path, ROWS)
    frame = pd.DataFrame(dict(truth.columns))
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True, date_format="iso")
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write(ROWS)
    sources = [tmp_path / "a.parquet", tmp_path / "a.jsonl", tmp_path / "a.csv.gz", frame]
    for source in [*sources, pl.from_pandas(frame)]:
        found = read_table(source)
        for name, values in truth.columns.items():
            assert names_of(found.columns[name]).tolist() == names_of(values).tolist(), source


def test_a_folder_of_files_is_one_table(tmp_path):
    (tmp_path / "1.csv").write_text("id,v\na,1\n")
    (tmp_path / "2.csv").write_text("v,id\n2,b\n")
    table = read_table(tmp_path)
    assert table.columns["v"].tolist() == [1, 2] and table.columns["id"].tolist() == ["a", "b"]
    assert table.place(1).endswith("2.csv, line 2")
    (tmp_path / "2.csv").write_text("w,id\n2,b\n")
    with pytest.raises(
        ValueError, match=r"2\.csv and .*1\.csv have not the same columns: .'v', 'w'"
    ):
        read_table(tmp_path)


def test_large_whole_numbers_are_names_in_frames_and_files(tmp_path):
    large = [2**60, 2**60 + 1]
    for source in (pd.DataFrame({"user": large}), pl.DataFrame({"user": large})):
        assert read_table(source).columns["user"].tolist() == list(map(str, large))
    assert table_in(tmp_path, f"user\n{large[0]}\n{large[1]}\n").columns["user"].tolist() == [
        str(one) for one in large
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("-2.5e3", -2500), (" 3 ", 3), ("007", None), ("0.5", 0.5), ("1_000", None),
     ("x", None), ("-", None), ("0", 0), ("٣", None)],
)  # fmt: skip
def test_what_a_number_is(text, number):
    assert as_number(text) == number


BAD = {
    "empty": ("", r"a\.csv is empty"),
    "no rows": ("id,v\n", r"a\.csv has no rows, but columns \['id', 'v'\]"),
    "ragged": ("id,v\na,1\nb\n", r"a\.csv, line 3: 1 values, expected 2"),
    "twice": ("v,v\n1,2\n", r"a\.csv, line 1: several columns are called 'v'"),
    "quote": ('v\n"1\n', r"a\.csv, line 2: not a row of comma-separated values"),
}


@pytest.mark.parametrize("kind", BAD)
def test_files_that_are_no_tables_are_refused_by_line(tmp_path, kind):
    text, message = BAD[kind]
    with pytest.raises(ValueError, match=message):
        table_in(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"a\.jsonl, line 1: not JSON"),
        ('{"a": 1}\n3', r"a\.jsonl, line 2: 3, expected an object of JSON"),
        ('{"a": 1}\n{"a": [1]}', r"a\.jsonl, line 2, column 'a': \[1\], expected a number, a text"),
        ("", r"a\.jsonl is empty"),
    ],
)
def test_objects_that_are_no_records_are_refused_by_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        table_in(tmp_path, text, "a.jsonl")


def test_other_files_are_refused_by_name(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"a\.xlsx is no table: its name ends in one of \.csv"):
        read_table(tmp_path / "a.xlsx")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"a\.csv is not text in UTF-8: byte 0xff"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"a\.parquet is no Parquet file that can be read"):
        read_table(tmp_path / "a.parquet")


def test_a_table_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("structnet.total_memory", lambda: 100)
    path = tmp_path / "a.csv"
    path.write_text("v\n" + "1\n" * 40)
    with pytest.raises(ValueError, match=r"a\.csv would take about .* more than this machine's"):
        read_table(path)


def test_the_kinds_of_columns_are_inferred(tmp_path):
    table = table_in(tmp_path, ROWS)
    schema = Schema.learn(table, all_rows(table), ["when", "pulse", "drug", "note", "zip"], {})
    kinds = {one.name: one.kind for one in schema.columns}
    assert kinds == {"when": "time", "pulse": "number", "drug": "category", "note": "text",
                     "zip": "category"}  # fmt: skip
    assert schema.input_size == 3
    x = schema.encode(table).part(0, 2)
    assert np.allclose(x.numbers[:, 1:], [[(71.5 - 75.75) / 4.25, 0], [0, 1]])
    assert schema.vocabulary.words(x.tokens) == [
        ["drug=x", "feels", "quite", "well", "zip=007"],
        ["drug=y", "some", "pain", "here", "zip=010"],
    ]  # fmt: skip


def test_kinds_may_be_given(tmp_path):
    table = table_in(tmp_path, "code\n1\n2\n1\n")
    schema = Schema.learn(table, all_rows(table), ["code"], {"code": "category"})
    assert schema.input_size is None and set(schema.vocabulary.counts) == {"code=1", "code=2"}


def test_a_schema_is_learned_from_training_rows_alone(tmp_path):
    table = table_in(tmp_path, "v,c\n1,x\n3,x\n100,y\n")
    schema = Schema.learn(table, np.array([True, True, False]), ["v", "c"], {})
    assert schema.columns[0].mean == 2 and "c=y" not in schema.vocabulary.counts
    assert schema.encode(table).tokens.ids.tolist() == [1, 1, 0]


def test_a_schema_survives_being_saved(tmp_path):
    table = table_in(tmp_path, ROWS)
    schema = Schema.learn(table, all_rows(table), ["pulse", "drug"], {})
    again = Schema.of(schema.plain(), schema.vocabulary)
    first, second = schema.encode(table), again.encode(table)
    assert np.array_equal(first.numbers, second.numbers)
    assert np.array_equal(first.tokens.ids, second.tokens.ids)


@pytest.mark.parametrize(
    "plain",
    [None, [3], [{"name": "v"}], [{"name": 3, "kind": "number", "missing": 0, "mean": 0,
     "deviation": 1, "values": 1}], [{"name": "v", "kind": "number", "missing": 0, "mean": 0,
     "deviation": 0, "values": 1}]],
)  # fmt: skip
def test_a_schema_that_is_none_is_refused(plain):
    with pytest.raises(ValueError, match="expected "):
        Schema.of(plain, None)


def test_numbers_with_a_mistake_among_them_are_refused_by_row(tmp_path):
    table = table_in(tmp_path, "v\n" + "1.5\n" * 20 + "abc\n")
    message = r"a\.csv, line 22, column 'v': 'abc', expected a number as in 20 of 21 values; mend"
    with pytest.raises(ValueError, match=message):
        Schema.learn(table, all_rows(table), ["v"], {})


def test_columns_of_new_data_are_those_of_training(tmp_path):
    table = table_in(tmp_path, ROWS)
    schema = Schema.learn(table, all_rows(table), ["pulse", "drug", "when"], {})
    with pytest.raises(
        ValueError, match=r"b\.csv lacks 'drug', 'when', which the net was .*: add them"
    ):
        schema.encode(table_in(tmp_path, "pulse\n1\n", "b.csv"))
    other = table_in(tmp_path, "pulse,drug,when\nfast,x,2024-01-01\n", "b.csv")
    with pytest.raises(
        ValueError, match=r"b\.csv, line 2, column 'pulse': 'fast', expected a numb"
    ):
        schema.encode(other)
    other = table_in(tmp_path, "pulse,drug,when\n1,x,yesterday\n", "b.csv")
    with pytest.raises(ValueError, match=r"column 'when': 'yesterday', expected a time as in"):
        schema.encode(other)
    other = table_in(tmp_path, "pulse,drug,when\ninf,x,2024-01-01\n", "b.csv")
    with pytest.raises(ValueError, match=r"column 'pulse': .*inf.*, expected a finite number"):
        schema.encode(other)


def test_values_that_were_never_missing_in_training_are_told(tmp_path):
    table = table_in(tmp_path, "v,c\n1,x\n3,y\n")
    schema = Schema.learn(table, all_rows(table), ["v", "c"], {})
    with pytest.warns(sn.DataWarning, match=r"b\.csv, line 2: column 'v' has no value in 1 of 1"):
        found = schema.encode(table_in(tmp_path, "v,c\n,x\n", "b.csv"))
    assert found.numbers.tolist() == [[0]]


def test_a_target_is_a_class_or_a_number(tmp_path):
    table = table_in(tmp_path, "a,b,c\n1,0.5,x\n10,1.5,y\n2,,x\n")
    assert [infer_goal(table, [name], None) for name in "abc"] == ["class", "number", "class"]
    assert infer_goal(table, ["a", "b"], None) == "number"
    assert classes_of(table.columns["a"]) == ["1", "2", "10"]
    assert classes_of(np.array(["0.0", "1", "1.0", None], object)) == ["0", "1"]
    assert classes_of(np.array(["250.00", "V45"], object)) == ["250.00", "V45"]
    assert encode_classes(table, "a", ["10.0", "2", "1"]).tolist() == [2, 0, 1]
    assert encode_classes(table, "c", ["x", "y"]).tolist() == [0, 1, 0]
    assert np.isnan(encode_numbers(table, ["b"])[2])
    assert encode_numbers(table, ["a", "b"]).shape == (3, 2)
    with pytest.raises(ValueError, match=r"line 3, column 'c': 'y', expected a class of the train"):
        encode_classes(table, "c", ["x"])
    assert encode_classes(table, "c", ["x"], refuse=False).tolist() == [0, sn.IGNORE, 0]
    with pytest.raises(ValueError, match=r"line 2, column 'c': 'x', expected a number to predict"):
        encode_numbers(table, ["c"])


def test_frames_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"the data frame has no rows, but columns \['a'\]"):
        read_table(pd.DataFrame({"a": []}))
    with pytest.raises(ValueError, match=r"can't be read: .*closed.*column a.*: mend them"):
        read_table(pd.DataFrame({"a": np.array([1.5, "closed"], object)}))


def counts(split):
    return [split.count(name) for name in SPLITS]


def test_splits_have_their_shares_of_every_class():
    labels = np.array(["a"] * 80 + ["b"] * 20)
    split = Splitting().draw(100, labels=labels)
    assert counts(split) == [80, 10, 10]
    assert counts([one for one, label in zip(split, labels, strict=True) if label == "b"]) == [
        16,
        2,
        2,
    ]
    assert (
        split == Splitting().draw(100, labels=labels) != Splitting(seed=1).draw(100, labels=labels)
    )


def test_groups_stay_together():
    groups = [at // 7 for at in range(210)]
    split = Splitting().draw(210, groups=groups)
    assert all(len(set(split[at : at + 7])) == 1 for at in range(0, 210, 7))
    assert counts(split) == [168, 21, 21]


def test_a_split_by_time_tests_on_the_latest():
    times = np.arange(100)[::-1]
    split = np.array(Splitting(by_time=True).draw(100, times=times))
    assert times[split == "train"].max() < times[split == "validation"].min()
    assert times[split == "validation"].max() < times[split == "test"].min()


def test_folds_test_on_every_sample_once():
    labels = np.array(["a", "b"] * 30)
    tested = np.zeros(60, int)
    for fold in range(5):
        split = np.array(Splitting(folds=Folds(5, fold)).draw(60, labels=labels))
        tested += split == "test"
        assert sorted(set(split.tolist())) == ["test", "train", "validation"]
        assert (labels[split == "test"] == "a").sum() == 6
    assert (tested == 1).all()


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.5, 0.01, 0.49), (0.01, 0.01, 0.98)])
@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_every_split_has_a_sample(count, fractions):
    for seed in range(20):
        split = Splitting(fractions=fractions, seed=seed).draw(count, labels=np.arange(count) % 2)
        assert set(split) == set(SPLITS)
    by_time = Splitting(fractions, by_time=True).draw(count, times=np.arange(count))
    assert by_time == sorted(by_time, key=SPLITS.index) and set(by_time) == set(SPLITS)


@pytest.mark.parametrize(("count", "folds"), [(4, 2), (5, 2), (4, 3), (7, 7), (11, 4)])
def test_folds_of_few_samples_have_all_splits(count, folds):
    tested = np.zeros(count, int)
    for fold in range(folds):
        split = np.array(Splitting(folds=Folds(folds, fold)).draw(count))
        tested += split == "test"
        assert set(split.tolist()) == set(SPLITS)
    assert (tested == 1).all()


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="2 samples are too few for train, validation, test:"):
        Splitting().draw(2)
    with pytest.raises(ValueError, match="2 samples are too few"):
        Splitting(by_time=True).draw(2, times=np.arange(2))
    with pytest.raises(ValueError, match=r"3 samples are too few for .* in 2 folds"):
        Splitting(folds=Folds(2)).draw(3)
    with pytest.raises(ValueError, match=r"2 groups are too few for .* in 5 folds"):
        Splitting(folds=Folds(5)).draw(20, groups=np.arange(20) % 2)
    with pytest.raises(ValueError, match=r"task.by_time and task.group .* take one"):
        Splitting(by_time=True).draw(9, times=np.arange(9), groups=np.arange(9))


def test_splits_are_named_in_several_ways():
    assert named_splits(np.array(["TRAIN", "dev", "test"], object), str) == list(SPLITS)
    with pytest.raises(ValueError, match="row 1: 'later' in the column of splits"):
        named_splits(np.array(["train", "later"], object), "row {}".format)


def test_folds_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"task\.folds is at least 2, got 1"):
        Folds(1)
    for fold in (3, -1):
        with pytest.raises(ValueError, match=rf"task\.fold is from 0 to 2 with .*=3, got {fold}"):
            Folds(3, fold)
    with pytest.raises(ValueError, match=r"task\.fold=1 is one of task\.folds=N: set it as well"):
        Folds(None, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": (0.5, 0.5, 0.5)}, "task.fractions are the shares"),
        ({"folds": Folds(3), "by_time": True}, "leave one"),
    ],
)
def test_splits_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Splitting(**options)


CODES = {
    "codes alone": "id,code\n1,250.00\n2,410.10\n",
    "codes and names": "id,code\n1,250.00\n2,V45.01\n",
    "dates alone": "id,code\n1,2024-05-01\n2,2024-05-02\n",
    "dates and names": "id,code\n1,2024-05-01\n2,never\n",
}


@pytest.mark.parametrize("kind", CODES)
def test_a_name_is_spelled_the_same_whatever_else_stands_in_its_column(tmp_path, kind):
    code = CODES[kind].split("1,")[1].split("\n")[0]
    table = table_in(tmp_path, CODES[kind])
    record = table_of([{"code": code}], "request", [1])
    frame = read_table(pd.DataFrame({"code": [code]}))
    for one in (table, record, frame, table.take(np.array([0])), table.without(["id"])):
        assert one.names("code")[0] == code
    (tmp_path / "b.csv").write_text("id,code\n3,x\n")
    assert read_table(tmp_path).names("code")[0] == code
    (tmp_path / "b.csv").write_text("id,code\n3,1.50\n")
    assert read_table(tmp_path).names("code")[0] == code


def test_numbers_that_came_as_numbers_are_spelled_as_whole_ones():
    for values in ([250, 0.5], [250.0, "x"], [250, None]):
        table = table_of([{"code": one} for one in values], "request", [1, 2])
        assert table.names("code")[0] == "250"


def test_truths_are_spelled_the_same_in_files_frames_and_records(tmp_path):
    truth = ["true", "false", None]
    file = table_in(tmp_path, "id,flag\n1,True\n2,FALSE\n3,\n")
    frame = read_table(pd.DataFrame({"flag": [True, False, None]}))
    texts = read_table(pd.DataFrame({"flag": ["True", "false", None]}))
    records = table_of([{"flag": True}, {"flag": "False"}, {}], "request", [1, 2, 3])
    for one in (file, frame, texts, records):
        assert one.names("flag").tolist() == truth


def test_nan_among_names_is_missing():
    table = table_of([{"code": "x"}, {"code": float("nan")}], "request", [1, 2])
    assert table.names("code").tolist() == ["x", None]


def test_dates_that_are_texts_in_frames_are_times():
    table = read_table(pd.DataFrame({"when": ["2024-05-01", None], "code": ["20240501", "1"]}))
    assert table.columns["when"].dtype.kind == "M" and np.isnat(table.columns["when"][1])
    assert table.names("code").tolist() == ["20240501", "1"]
    assert table.columns["code"].dtype == object


def test_neighbours_that_one_float_stands_for_stay_two_names(tmp_path):
    texts = [str(2**53), str(2**53 + 1)]
    file = table_in(tmp_path, "user\n" + "\n".join(texts))
    records = [table_of([{"user": int(one)} for one in texts], "request", [1, 2])]
    frame = read_table(pd.DataFrame({"user": [int(one) for one in texts]}))
    for one in (file, *records, frame):
        assert one.columns["user"].tolist() == texts
    large = table_in(tmp_path, "v\n1e300\n2\n").columns["v"]
    assert large.tolist() == [1e300, 2]


def test_the_index_of_a_frame_is_no_column(tmp_path):
    frame = pd.DataFrame({"v": [1, 2, 3, 4]}).iloc[[3, 0]].sort_index()
    frame.to_parquet(tmp_path / "a.parquet")
    for source in (frame, tmp_path / "a.parquet"):
        assert list(read_table(source).columns) == ["v"]
    named = frame.set_index(pd.Index(["a", "b"], name="id"))
    assert list(read_table(named).columns) == ["v", "id"]


@pytest.mark.parametrize("count", [1, 19])
def test_a_mistake_outside_the_training_rows_is_refused_by_row(tmp_path, count):
    table = table_in(tmp_path, "v\n" + "1.5\n" * 20 + "o.5\n" * count)
    training = np.arange(len(table)) < 20
    message = r"a\.csv, line 22, column 'v': 'o\.5', expected a number as in 20 of 2"
    with pytest.raises(ValueError, match=message):
        Schema.learn(table, training, ["v"], {})
    schema = Schema.learn(table, training, ["v"], {"v": "category"})
    assert set(schema.vocabulary.counts) == {"v=1.5"}


def test_numbers_that_a_net_can_not_hold_are_refused_by_row(tmp_path):
    table = table_in(tmp_path, "v\n1\n3\n")
    schema = Schema.learn(table, all_rows(table), ["v"], {})
    for large in ("1e300", "-1e39"):
        with pytest.raises(ValueError, match=r"b\.csv, line 3, column 'v': .*1e.*, expected a num"):
            schema.encode(table_in(tmp_path, f"v\n1\n{large}\n", "b.csv"))
    table = table_in(tmp_path, "v\n1\n1e300\n")
    with pytest.raises(ValueError, match=r"a\.csv, line 3, column 'v': 1e\+300, expected numbers"):
        Schema.learn(table, all_rows(table), ["v"], {})


def test_categories_that_training_does_not_know_are_told(tmp_path, recwarn):
    table = table_in(tmp_path, "c,d\nx,u\ny,v\n")
    schema = Schema.learn(table, all_rows(table), ["c", "d"], {})
    schema.warn_of_unknown(table_in(tmp_path, "c,d\nz,u\ny,v\n,\n", "b.csv"))
    assert not recwarn
    message = r"b\.csv, line 3: column 'c' has 'z', and 2 of its 3 values are none that training"
    with pytest.warns(sn.DataWarning, match=message):
        schema.warn_of_unknown(table_in(tmp_path, "c,d\nx,u\nz,v\nz,v\n", "b.csv"))


def test_local_days_stay_the_days_that_they_are(tmp_path):
    days = pd.date_range("2024-03-29", periods=5, tz="Europe/Berlin")
    expected = pd.date_range("2024-03-29", periods=5).to_numpy()
    assert (read_table(pd.DataFrame({"day": days})).columns["day"] == expected).all()
    path = tmp_path / "a.csv"
    path.write_text("day\n" + "".join(f"{day.isoformat()}\n" for day in days))
    assert (read_table(path).columns["day"] == expected).all()
    # Other times are those of UTC, which has no clocks that change.
    hours = days + pd.Timedelta(hours=1)
    assert read_table(pd.DataFrame({"t": hours})).columns["t"].tolist() == [
        one.tz_convert("UTC").tz_localize(None).to_pydatetime() for one in hours
    ]


def test_numbers_of_json_are_spelled_as_names(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"code": "V58"}\n{"code": 250.00}\n{"code": 401.9}\n{"code": 7}\n')
    assert read_table(path).names("code").tolist() == ["V58", "250.00", "401.9", "7"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "frame"])
def test_columns_that_options_name_have_to_be_there(tmp_path, suffix):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    source = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        frame.to_csv(source, index=False)
    else:
        frame.to_json(source, orient="records", lines=True)
    table = read_table(frame if suffix == "frame" else source, ("b",))
    assert list(table.columns) == ["a"] and set(table.ignored) == {"b"}
    table.refuse_unknown({"task.ignore": ["b"], "task.numbers": ["a"]})
    with pytest.raises(ValueError, match=r"no column 'c', but 'a'; add it, or set task\.ignore to"):
        table.refuse_unknown({"task.ignore": ["b", "c"]})


def test_a_number_that_is_always_the_same_says_so():
    table = table_of([{"a": 5.0}] * 4, "it", range(4))
    assert Schema.learn(table, np.arange(4), ["a"], {}).rows()[0][2] == "always 5"
