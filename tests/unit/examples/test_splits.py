"""Splits are disjoint, repeatable, and in the form that the Jobs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from examples.models import cache, splits

IDS = [splits.item_digest(bytes([i])) for i in range(60)]
LABELS = np.arange(60, dtype=np.int64) % 3


def test_each_split_gets_its_share_of_every_class() -> None:
    rows = splits.partition(IDS, LABELS, (("calibration", 5), ("selection", 10), ("certification", -1)))
    assert {name: len(chosen) for name, chosen in rows.items()} == {
        "calibration": 15,
        "selection": 30,
        "certification": 15,
    }
    splits.check_disjoint({name: [IDS[i] for i in chosen] for name, chosen in rows.items()})
    assert all((np.bincount(LABELS[chosen]) == len(chosen) / 3).all() for chosen in rows.values())


def test_the_order_of_the_items_does_not_move_them_between_splits() -> None:
    shares = (("calibration", 5), ("selection", 5))
    back = list(reversed(range(60)))
    once = splits.partition(IDS, LABELS, shares)
    again = splits.partition([IDS[i] for i in back], LABELS[back], shares)
    for name in once:
        assert [IDS[i] for i in once[name]] == [IDS[back[i]] for i in again[name]]


def test_a_class_that_is_too_small_is_named() -> None:
    with pytest.raises(ValueError, match="class 0 has 5 items left; the split 'selection' asks for 9"):
        splits.partition(IDS, LABELS, (("calibration", 15), ("selection", 9)))


def test_an_item_in_two_splits_is_refused() -> None:
    with pytest.raises(ValueError, match="'calibration' and in split 'selection'"):
        splits.check_disjoint({"calibration": IDS[:3], "selection": IDS[2:5]})


def test_a_split_is_read_back_without_pickle(tmp_path: Path) -> None:
    path = splits.write_split(tmp_path, LABELS[:4], IDS[:4], {"image": np.zeros((4, 1, 28, 28), np.float32)})
    with np.load(path, allow_pickle=False) as data:
        assert set(data.files) == {"y", "id", "x.image"}
        assert data["id"].tolist() == IDS[:4]
        assert data["y"].dtype == np.int64


def test_arrays_of_unequal_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="differ in length"):
        splits.write_split(tmp_path, LABELS[:4], IDS[:3], {})


def test_a_build_runs_once_and_what_a_killed_one_left_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGERAMP_CACHE", str(tmp_path))
    left = tmp_path / "examples" / "thing-abc"
    left.mkdir(parents=True)
    (left / "half").touch()
    runs: list[Path] = []

    def build(folder: Path) -> None:
        runs.append(folder)
        (folder / "model.onnx").write_text("weights")

    first = cache.built_once("thing", "abc", build)
    assert cache.built_once("thing", "abc", build) == first == left
    assert len(runs) == 1
    assert sorted(p.name for p in first.iterdir()) == [cache.DONE, "model.onnx"]
