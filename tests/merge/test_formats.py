"""Training data as people bring them: CSV, JSON, Feather, partition folders. The rows are those of the same data as parquet."""

from __future__ import annotations

import codecs
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from baked_projects import Project
from inbox_project import MERGE, merged_data

from lineage.core.errors import BadInput, LineageError
from lineage.extras.merge_artifacts.given_files import expand
from lineage.merge.data import merge_data
from lineage.merge.inbox import DATA, DATABASES, source_md5
from lineage.merge.rules import Rules

BY_ID = Rules("merge", ("id",))
BASE = {
    "id": [1, 2],
    "code": ["007", None],
    "big": [2**62 + 1, 3],
    "share": [0.5, float("nan")],
    "day": pd.to_datetime(["2020-01-01 12:30:00.000001", None]).as_unit("us"),
    "ok": [True, False],
    "price": pd.array(["1.25", "0.10"], dtype=pd.ArrowDtype(pa.decimal128(6, 2))),
    "born": pd.array(["1999-12-31", None], dtype=pd.ArrowDtype(pa.date32())),
    "seen": pd.to_datetime(["2020-01-01 12:30", "2020-06-01 00:00"], utc=True),
}
NEW = {
    "id": [3, 4],
    "code": ["1.0", 'a "b",\n c'],
    "big": [2**62 + 3, -(2**63)],
    "share": [1e22, 0.1],
    "day": pd.to_datetime(["2021-01-01 00:00:00.000001", "2021-01-01 00:00:00.250000"]).as_unit("us"),
    "ok": [False, None],
    "price": pd.array(["1234.50", None], dtype=pd.ArrowDtype(pa.decimal128(6, 2))),
    "born": pd.array(["2000-01-01", "1900-02-28"], dtype=pd.ArrowDtype(pa.date32())),
    "seen": pd.to_datetime(["1970-01-01 00:00:01", None], utc=True),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a base."""
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(BASE).to_parquet("base.parquet", index=False)
    return tmp_path


def merged(*sources: str, base: bool = True, rules: Rules = BY_ID) -> pa.Table:
    """What a merge gives, by pyarrow alone."""
    shutil.rmtree("out", ignore_errors=True)
    Path("out.parquet").unlink(missing_ok=True)
    files = [Path("base.parquet")] if base else []
    merge_data(files, [Path(source) for source in sources], Path("out.parquet"), rules, "data")
    return pq.read_table("out.parquet")


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows that can be compared, NaN too."""
    return json.loads(json.dumps(table.to_pylist(), default=str), parse_constant=str)


def refused(text: str | bytes, problem: str, name: str = "new.csv", **options: Any) -> None:
    """A file is refused by name, and the remedy lets the next merge pass."""
    Path("inbox").mkdir(exist_ok=True)
    file = Path("inbox", name)
    content = text.encode() if isinstance(text, str) else text
    file.write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
    before = Path("base.parquet").read_bytes()
    with pytest.raises(LineageError) as caught:
        merged(str(file), **options)
    assert isinstance(caught.value, BadInput) and caught.value.problem == f"inbox/{name}{problem}"
    assert Path("base.parquet").read_bytes() == before
    assert not Path("out.parquet").exists()
    assert caught.value.remedy
    subprocess.run(["bash", "-ec", caught.value.remedy], check=True)
    left = expand(["inbox"], DATA) if any(Path("inbox").iterdir()) else []
    merged(*map(str, left), **{**options, "base": True})
    shutil.rmtree("inbox")
    Path(name).unlink(missing_ok=True)


def test_the_same_rows_come_in_from_every_form_of_file(folder: Path) -> None:
    new = pd.DataFrame(NEW)
    new.to_parquet("new.parquet", index=False)
    expected = merged("new.parquet")
    new.to_csv("a.csv", index=False)
    new.to_csv("b.CSV.gz", index=False, compression="gzip")
    new.to_csv("c.tsv", index=False, sep="\t", lineterminator="\r\n")
    new.to_csv("d.csv", index=False, sep=";", encoding="utf-8-sig", quoting=1, na_rep="")
    plain = new.astype({"price": float})
    plain.to_json("e.jsonl", orient="records", lines=True, date_format="iso", date_unit="us")
    for name, nested in {"f.json": "e.jsonl", "g.ndjson": "e.jsonl", "h.jsonl.gz": "e.jsonl"}.items():
        content = Path(nested).read_bytes()
        if name == "f.json":
            content = b"[" + b",".join(content.splitlines()) + b"]\n"
        Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    new.to_feather("i.feather")
    feather.write_feather(pa.Table.from_pandas(new.drop(columns="price")), "j.feather", version=1)
    with pa.OSFile("k.arrow", "wb") as file, pa.ipc.new_file(file, pa.Schema.from_pandas(new)) as writer:
        writer.write_table(pa.Table.from_pandas(new))
    for name in sorted(path.name for path in folder.iterdir() if path.name[1:2] == "."):
        found = merged(name)
        assert found.schema.types == expected.schema.types, name
        wanted = rows(expected)
        if name == "j.feather":  # version 1 has no decimals
            wanted = [{**row, "price": None} if row["id"] > 2 else row for row in wanted]
        assert rows(found) == wanted, name


def test_text_stays_text_and_an_empty_cell_is_null() -> None:
    Path("new.csv").write_text('id,code,share,note\n3,007,,"two\nlines"\n4,"",NaN,\n5,,-0.0, x \n6,NULL,"",y\n')
    found = merged("new.csv").slice(2)
    assert found["code"].to_pylist() == ["007", "", None, "NULL"]
    assert [str(value) for value in found["share"].to_pylist()] == ["None", "nan", "-0.0", "None"]
    assert found["note"].to_pylist() == ["two\nlines", None, " x ", "y"]


@pytest.mark.slow
def test_a_cell_that_does_not_fit_is_named_with_its_line_and_column() -> None:
    refused('id,code\n3,"a\n\nb"\n\nx,c\n', ", line 6: column 'id' holds 'x', which is no BIGINT")
    refused("id,code\n3,a\0b\nx,c\n", ", line 3: column 'id' holds 'x', which is no BIGINT")
    refused("id\n1.5\n", ", line 2: column 'id' holds '1.5', which is no BIGINT", name="a b.csv")
    refused("id\n9223372036854775808\n", ", line 2: column 'id' holds '9223372036854775808', which is no BIGINT")
    refused("id;share\n3;1,5\n", ", line 2: column 'share' holds '1,5', which is no DOUBLE")
    refused("id,share\n3,9007199254740993\n", ", line 2: column 'share' holds '9007199254740993', which is no DOUBLE")
    refused("id,share\n3,1e999\n", ", line 2: column 'share' holds '1e999', which is no DOUBLE")
    refused("id,price\n3,1.125\n", ", line 2: column 'price' holds '1.125', which is no DECIMAL(6,2)")
    refused("id,born\n3,31/12/2020\n", ", line 2: column 'born' holds '31/12/2020', which is no DATE")
    refused("id,born\n3,2020-02-30\n", ", line 2: column 'born' holds '2020-02-30', which is no DATE")
    nanos = "2020-01-01 00:00:00.123456789"
    refused(f"id,day\n3,{nanos}\n", f", line 2: column 'day' holds '{nanos}', which is no TIMESTAMP")
    zone = "2020-01-01 00:00:00+02:00"
    refused(f"id,day\n3,{zone}\n", f", line 2: column 'day' holds '{zone}', which is no TIMESTAMP")
    no_zone = "2020-01-01 00:00:00"
    kind = "TIMESTAMP WITH TIME ZONE"
    refused(
        f"id,seen\n3,{no_zone}\n", f", line 2: column 'seen' holds '{no_zone}', which is no {kind}", name="x.csv.gz"
    )
    refused('{"id": 3}\n\n{"id": "4"}\n', ", line 3: column 'id' holds '4', which is no BIGINT", name="new.jsonl")
    refused('{"id": 3, "code": 7}\n', ", line 1: column 'code' holds '7', which is no VARCHAR", name="new.jsonl")
    refused('[{"id": 3},\n{"id": [4]}]', ", record 2: column 'id' holds '[4]', which is no BIGINT", name="new.json")
    pandas = '{"id": {"0": 3}, "code": {"0": "x"}}'
    refused(pandas, """, line 1: column 'id' holds '{"0":3}', which is no BIGINT""", name="new.json")


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_named_with_its_line() -> None:
    refused("id,code\n3,a\n4\n", ", line 3: it cannot be read: Expected Number of Columns: 2 Found: 1")
    refused('id,code\n3,"a\nb"\n4,b,c\n', ", line 4: it cannot be read: Expected Number of Columns: 2 Found: 3")
    refused('id,code\n3,"a\n', ", line 2: it cannot be read: Value with unterminated quote found.")
    refused("id,Id\n3,4\n", ": column 'id' is there twice")
    refused("3,a\n4,b\n", ": it has no header: the first line names a column '3'")
    refused(",id\n0,3\n", ": it has no header: the first line names a column ''")
    refused("", ": it has no header: the first line names a column ''")
    refused("id,code\n3,Zoë\n".encode("latin-1"), ": its text is not encoded in UTF-8")
    refused("id,code\n3,Zoë\n".encode("latin-1"), ": its text is not encoded in UTF-8", name="a b.csv.gz")
    refused("id,code\n3,Zoë\n".encode("utf-16"), ": its text is not encoded in UTF-8", name="NEW.CSV.GZ")
    refused("id\tcode\n3\tZoë\n".encode("utf-16"), ": its text is not encoded in UTF-8", name="excel.txt.tsv")
    refused(codecs.BOM_UTF16_BE + "id,code\n3,Zoë\n".encode("utf-16-be"), ": its text is not encoded in UTF-8")
    refused("5\n", ", line 1: it is no JSON object whose keys differ", name="new.jsonl")
    refused('{"id": 3, "id": 4}\n', ", line 1: it is no JSON object whose keys differ", name="new.jsonl")
    refused('{"id": 3\n{"id": 4}\n', ": it cannot be read: unexpected end of data.", name="new.jsonl")
    refused("id\n", ": it holds no value", base=False)
    for nothing in ("", "\n", "{}\n{}\n"):
        refused(nothing, ": it holds no value", name="new.jsonl")
    for name in ("new.feather", "new.arrow"):
        Path(name).write_bytes(b"ARROW1 and then nothing")
        with pytest.raises(BadInput, match=f"^{name}: it cannot be read as {Path(name).suffix}: "):
            merged(name)


def test_a_missing_key_column_is_told_of_the_file_that_was_given() -> None:
    Path("new.csv").write_text("code\nx\n")
    with pytest.raises(BadInput) as caught:
        merged("new.csv")
    assert caught.value.problem == "new.csv has no column 'id'; it has: code"


def test_without_a_base_all_cells_say_the_types_and_so_does_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    head = "id,code,big,share,flag,day,at,seen,empty,text\n"
    first = "1,007,18446744073709551615,1,true,2020-01-01,2020-01-01,2020-01-01 00:00:00Z,,a\n"
    last = "2,08,1,2.5,False,2020-01-02,2020-01-01 12:30:00,2020-01-01 00:00:00+02:00,,1\n"
    Path("a.csv").write_text(head + first * 1 + last)
    Path("b.csv").write_text("id,share\n3,1e3\n")
    found = merged("a.csv", "b.csv", base=False)
    told = "id BIGINT, code VARCHAR, big UBIGINT, share DOUBLE, flag BOOLEAN, day DATE, at TIMESTAMP"
    rest = 'seen TIMESTAMP WITH TIME ZONE, empty "NULL", text VARCHAR'
    words = "no other file says the types of columns; by all cells"
    assert capsys.readouterr().err == (
        f"warning: a.csv: {words}: {told}, {rest}\nwarning: b.csv: {words}: id BIGINT, share DOUBLE\n"
    )
    assert "empty" not in found.column_names
    assert found["big"].to_pylist() == [2**64 - 1, 1, None]
    assert found["code"].to_pylist() == ["007", "08", None]
    assert found["share"].to_pylist() == [1.0, 2.5, 1000.0]
    assert found["text"].to_pylist() == ["a", "1", None]


def test_text_is_let_in_by_cast_text() -> None:
    Path("new.csv").write_text("id,share\n3,high\n")
    found = merged("new.csv", rules=Rules("merge", ("id",), cast_text=True))
    assert found["share"].to_pylist()[-1] == "high"


def test_folders_are_columns_of_the_files_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    for site, number in (("north", 3), ("south%2Fwest", 4), ("__HIVE_DEFAULT_PARTITION__", 5)):
        place = Path(f"inbox/site={site}/year=2024")
        place.mkdir(parents=True)
        table = pa.table({"id": [number], "kind": pa.array(["x"]).dictionary_encode()})
        pq.write_table(table, place / "part-0.parquet")
    Path("inbox/site=north/year=2024/b.csv").write_text("id,kind\n6,y\n")
    for beside in ("_SUCCESS", "_metadata", "._SUCCESS.crc"):
        Path("inbox", beside).write_bytes(b"")
    Path("inbox/_delta_log").mkdir()
    Path("inbox/_delta_log/0.json").write_text('{"add": {}}\n')
    files = expand(["inbox"], DATA)
    assert "1 files are not merged, as they are no .parquet …: inbox/_delta_log/0.json" in capsys.readouterr().err
    found = merged(*map(str, files))
    added = {row["id"]: (row["site"], row["year"], row["kind"]) for row in found.to_pylist() if row["id"] > 2}
    assert added == {
        3: ("north", 2024, "x"), 4: ("south/west", 2024, "x"), 5: (None, 2024, "x"), 6: ("north", 2024, "y"),
    }  # fmt: skip
    parts = [str(file) for file in files if file.suffix == ".parquet"]
    assert pa.types.is_dictionary(merged(*parts).schema.field("kind").type)
    pq.write_table(pa.table({"id": [1], "year": pa.array([2020], pa.int16())}), "base.parquet")
    assert merged(*map(str, files)).schema.field("year").type == pa.int16()
    pq.write_table(pa.table({"id": [1], "site": [1]}), "base.parquet")
    with pytest.raises(BadInput, match=r"part-0.parquet, line 1: column 'site' holds 'north', which is no BIGINT"):
        merged("inbox/site=north/year=2024/part-0.parquet")


def test_equal_bytes_in_two_partitions_are_two_files(folder: Path) -> None:
    for site in ("north", "south"):
        Path(f"site={site}").mkdir()
        pq.write_table(pa.table({"id": [1]}), f"site={site}/a.parquet")
    north, south = (Path(f"site={site}/a.parquet") for site in ("north", "south"))
    assert source_md5(north) != source_md5(south)
    assert source_md5(north) == source_md5(folder / north)
    shutil.copyfile(north, "a.parquet")
    assert source_md5(Path("a.parquet")) not in {source_md5(north), source_md5(south)}


def test_what_is_not_merged_of_a_folder_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/predictions").mkdir(parents=True)
    for name in ("a.db", "notes.txt", "predictions/a.parquet", "README.md", ".hidden"):
        Path("runs", name).write_bytes(b"")
    assert expand(["runs"], DATABASES) == [Path("runs/a.db")]
    assert capsys.readouterr().err == "warning: 1 files are not merged, as they are no .db …: runs/notes.txt\n"


@pytest.mark.slow
def test_a_csv_batch_is_merged_once_by_the_stage_and_by_hand(fresh: Project) -> None:
    fresh.script("merge_data")
    batch = pd.read_parquet(fresh.path / "examples/batches/batch_002.parquet")
    batch.to_csv(fresh.path / "data/incoming/b2.csv", index=False)
    assert "+450 ~0 =0 !0; 1 new file, 1 already merged; 987 rows now" in fresh.script("merge_data")
    found = pd.read_parquet(fresh.path / "data/train.parquet").tail(450).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, batch.sort_values("id").reset_index(drop=True))
    assert merged_data(fresh)[1][1:] == ["data/incoming/b2.csv", 450, MERGE]
    assert "+0 ~0 =0 !0; 0 new files, 2 already merged" in fresh.script("merge_data")
    place = ("--base-data", "data/train.parquet", "--output-data", "data/train.parquet")
    words = ("--strategy", "merge", "--key-columns", "id", "--exp-data", "data/incoming/b2.csv", *place)
    assert "merge data/train.parquet: +0 ~0 =450 !0" in fresh.script("merge_artifacts", *words)
    shutil.rmtree(fresh.path / "scripts/lineage/extras/formats")
    (fresh.path / "data/incoming/b3.csv").write_text("id\n1\n")
    said = fresh.script("merge_data", code=2)
    problem = "b3.csv asks for an extra that is not here: No module named 'lineage.extras.formats'"
    assert problem in said and "→ make setup EXTRAS=formats\n" in said
    (fresh.path / "data/incoming/b3.csv").unlink()
    fresh.run("make", "setup", "EXTRAS=formats", f"VENV={sys.prefix}")
    assert (fresh.path / "scripts/lineage/extras/formats/cells.py").exists()
    fresh.drop_batch(3)
    assert "1 new file, 2 already merged" in fresh.script("merge_data")
