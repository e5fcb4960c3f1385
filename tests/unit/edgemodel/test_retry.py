"""`edgeramp.dev/retry` on an EdgeModel: what failed is tried again without an edit of the spec."""

from __future__ import annotations

from tests.unit.edgemodel.test_targets import line
from tests.unit.optimize.bench import DIGITS, MAGIKA, Bench
from tests.unit.optimize.models import STORE, condition, edit, model_status, played, world
from tests.unit.optimize.world import World, failed

from edgeramp.values.names import ANNOTATION_RETRY


def retry(made: World, value: str = "now") -> None:
    made.get("EdgeModel", "digits")["metadata"]["annotations"] = {ANNOTATION_RETRY: value}


def test_a_refused_source_is_staged_again_on_demand() -> None:
    bench = Bench(endings={("assess", ""): [failed(12, "CorruptModel"), None]})
    made = played(bench)
    assert condition(model_status(made), "Assessed")["reason"] == "CorruptModel"
    retry(made)
    made.until_idle()
    assert condition(model_status(made), "Assessed")["status"] == "True"
    assert not made.get("EdgeModel", "digits")["metadata"]["annotations"]


def test_a_run_without_a_winner_is_made_again_on_demand() -> None:
    made = played(bench := Bench(MAGIKA))
    assert line(made, "vnni").phase == "NoCandidate"
    bench.figures = DIGITS
    retry(made)
    made.until_idle()
    assert line(made, "vnni").phase == "Certified"


def test_a_run_with_a_winner_is_left_alone() -> None:
    made = played(bench := Bench())
    jobs = len(bench.seen)
    retry(made)
    made.until_idle()
    assert len(bench.seen) == jobs


def test_the_same_word_twice_retries_twice() -> None:
    bad = failed(12, "CorruptModel")
    made = played(bench := Bench(endings={("assess", ""): [bad, bad, None]}))
    for _ in range(2):
        retry(made)
        made.until_idle()
    assert [verb for verb, _, _ in bench.seen if verb == "assess"] == ["assess"] * 3
    assert [v["verb"] for v in model_status(made)["verbs"]] == ["retry", "retry"]
    assert condition(model_status(made), "Assessed")["status"] == "True"


def test_the_record_is_written_before_the_annotation_is_cleared() -> None:
    made = played(Bench(MAGIKA))
    retry(made)
    made.look()
    assert model_status(made)["verbs"] and made.get("EdgeModel", "digits")["metadata"]["annotations"]
    made.look()
    assert not made.get("EdgeModel", "digits")["metadata"]["annotations"]


def test_failed_attempts_at_a_source_do_not_pile_up() -> None:
    missing = failed(10, "SourceNotFound")
    made = world(Bench(endings={("stage", ""): [missing] * 6 + [None]}))
    for _ in range(40):
        made.look()
        made.finish_all()
        assert len(made.of("Job")) <= 3
        made.now += 100.0
    assert line(made, "vnni").phase == "Certified" or made.of("OptimizationRun")


def test_a_superseded_search_gives_its_machine_free_at_once() -> None:
    made = world()
    while not made.leases:
        made.look()
        made.finish_all()
    edit(made, source={"uri": f"{STORE}digits:1"}, gates={"speedup": "1.5"})
    made.look()
    assert all("digits-vnni" in x["spec"]["holderIdentity"] for x in made.leases.values())
    (run,) = made.of("OptimizationRun")
    holders = {x["spec"]["holderIdentity"] for x in made.leases.values()}
    assert holders <= {f"shop/{run['metadata']['name']}/{run['metadata']['uid'][:8]}"}
