"""A whole optimization in milliseconds: Jobs end as the bench says, the plan does the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.optimize.bench import DIGITS, MAGIKA, Bench, Figures, digest
from tests.unit.optimize.models import TARGET, edgemodel, played, world
from tests.unit.optimize.world import AVX2, NAMESPACE, SPEC, VNNI, World, failed, node

from edgeramp.api.optimizationrun import CandidateResult, OptimizationRun
from edgeramp.report import Failure
from edgeramp.report.certification import Findings
from edgeramp.report.spec import CertifySpec, MeasureSpec, PackageSpec
from edgeramp.values.verdict import Verdict

BASELINE = {
    "rollout": {"route": {"gatewayRef": {"name": "edge"}, "hostnames": ["d.example"]}, "start": "Baseline"}
}


def row(run: OptimizationRun, name: str) -> CandidateResult:
    return next(r for r in run.status.candidates if r.id == name)


def ready(run: OptimizationRun) -> tuple[str, str]:
    found = next(c for c in run.status.conditions if c.type == "Ready")
    return found.status, found.reason


def specs(made: World, kind: type) -> list[Any]:
    found = [SPEC.validate_json(c["data"]["spec.json"]) for c in made.of("ConfigMap")]
    return [s for s in found if isinstance(s, kind)]


# the way through


def test_the_best_by_weight_is_certified_and_packaged() -> None:
    run = played().run()
    assert ready(run) == ("True", "Certified")
    assert run.status.winner and run.status.winner.candidate == "ov-ptq-int8"
    assert run.status.winner.packaged and run.status.winner.packaged.reference.startswith("oci://")
    assert run.status.best_f32 == "ov-f32" and run.status.finished_at


def test_every_loser_has_a_reason() -> None:
    for result in played().run().status.candidates:
        assert result.message, result.id


def test_the_other_fp32_is_measured_against_that_of_the_source() -> None:
    pair = next(s for s in specs(played(), MeasureSpec) if s.candidate.id == "ov-f32")
    assert pair.reference.id == "ort-f32"


def test_all_others_are_measured_against_the_best_fp32_of_the_node() -> None:
    others = [s for s in specs(played(), MeasureSpec) if s.candidate.id != "ov-f32"]
    assert {s.reference.id for s in others} == {"ov-f32"} and len(others) == 4


def test_with_the_source_as_reference_a_faster_fp32_is_a_candidate_like_others() -> None:
    lenient = {"speedReference": "SourceF32", "speedup": "1.2", "memoryReduction": "0.0"}
    run = played(gates=lenient).run()
    assert row(run, "ov-f32").verdict is Verdict.PASS
    assert {row(run, i).reference for i in ("ort-static-int8", "ov-ptq-int8")} == {"ort-f32"}
    made = played(gates=lenient)
    assert {s.reference.id for s in specs(made, CertifySpec)} == {"ort-f32"}


def test_one_framework_alone_is_its_own_baseline_unmeasured() -> None:
    run = played(frameworks=["onnxruntime"]).run()
    assert run.status.best_f32 == "ort-f32"
    assert row(run, "ort-f32").measured is None
    assert run.status.winner and run.status.winner.candidate == "ort-static-int8"


def test_weights_choose_another_winner() -> None:
    exact = {"weights": {"latency": 0, "memory": 0, "accuracy": 1}}
    run = played(objective=exact).run()
    assert run.status.winner and run.status.winner.candidate == "ort-static-int8"


def test_no_search_sees_the_certification_split() -> None:
    made = played()
    unseen = digest("oci://store.example:5000/certification:1")
    for config in made.of("ConfigMap"):
        text = config["data"]["spec.json"]
        verb = config["metadata"]["labels"]["edgeramp.dev/role"]
        if verb in ("prepare", "measure"):
            assert unseen not in text
        if verb == "certify":
            assert unseen in text


def test_the_baseline_is_packaged_where_the_rollout_starts_with_it() -> None:
    run = played(**BASELINE).run()
    assert run.status.baseline and run.status.baseline.candidate == "ov-f32"
    assert run.status.baseline_package == run.status.baseline.packaged
    assert played().run().status.baseline is None


def test_the_certificate_of_the_baseline_does_not_say_certified() -> None:
    said = {s.runner.id: s.certificate for s in specs(played(**BASELINE), PackageSpec)}
    assert said["ov-ptq-int8"]["certified"] is True and said["ov-f32"]["certified"] is False


def test_the_certificate_names_evidence_and_the_cpu_features_it_holds_for() -> None:
    (spec,) = specs(played(), PackageSpec)
    said = spec.certificate
    assert said["isa"] == ["AVX512VNNI"]
    assert said["certification"]["alpha"] == "0.025"
    assert said["data"]["certification"] == digest("oci://store.example:5000/certification:1")
    assert [g["gate"] for g in said["results"]][:2] == ["accuracyRetention", "speedup"]


def test_stages_carry_a_metric_each() -> None:
    stages = {s.name: s for s in played().run().status.stages}
    assert list(stages) == [
        "baseline", "conversion", "quantization", "hardware acceleration", "production validation",
    ]  # fmt: skip
    assert stages["baseline"].metric == "ort-f32: p50 1.000 ms, accuracy 0.9800"
    assert stages["conversion"].metric == "ov-f32: 1.25x, retention 1.0000"
    assert "2.42x" in stages["hardware acceleration"].metric
    assert "3.03x against ort-f32" in stages["hardware acceleration"].metric


# accuracy control


def test_accuracy_control_is_skipped_where_plain_ptq_keeps_the_accuracy() -> None:
    result = row(played().run(), "ov-accuracy-control-int8")
    assert result.state == "Skipped" and "keeps the accuracy already (0.9985)" in result.message


def test_accuracy_control_is_tried_last_where_plain_ptq_ruins_the_model() -> None:
    bench = Bench(MAGIKA)
    played(bench)
    measured = [name for verb, name, _ in bench.seen if verb == "measure"]
    assert measured[-1] == "ov-accuracy-control-int8"


# explained ends


def test_no_candidate_is_a_clean_end_with_a_table_of_why_nots() -> None:
    run = played(Bench(MAGIKA)).run()
    assert ready(run) == ("False", "NoCandidate")
    assert run.status.winner is None and run.status.finished_at
    assert "ov-accuracy-control-int8: speedup Fail: 1.80x" in run.status.message
    assert "ort-dynamic-int8: speedup Fail: 0.23x" in run.status.message


def test_too_little_data_ends_inconclusive() -> None:
    unsure = {name: Figures(f.p50, f.retention, wide=0.08, bytes=f.bytes) for name, f in DIGITS.items()}
    run = played(Bench(unsure, items=40)).run()
    assert ready(run) == ("False", "Inconclusive")
    assert "40 items cannot decide" in run.status.message


def test_allowed_inconclusive_candidates_may_be_chosen_but_must_still_be_certified() -> None:
    unsure = {name: Figures(f.p50, f.retention, wide=0.08, bytes=f.bytes) for name, f in DIGITS.items()}
    run = played(Bench(unsure), gates={"onInconclusive": "Allow"}).run()
    assert [t.verdict for t in run.status.certification] == [Verdict.INCONCLUSIVE] * 3
    assert ready(run) == ("False", "Inconclusive")


def test_a_suspect_baseline_is_named_and_lets_nobody_win_whatever_the_policy() -> None:
    figures = {name: Figures(f.p50, 1.3, bytes=f.bytes) for name, f in DIGITS.items()} | {
        "ort-f32": DIGITS["ort-f32"],
        "ov-f32": DIGITS["ov-f32"],
    }
    run = played(Bench(figures=figures), gates={"onInconclusive": "Allow"}).run()
    assert run.status.winner is None
    assert row(run, "ov-ptq-int8").reason == "BaselineSuspect"
    assert row(run, "ov-ptq-int8").verdict is Verdict.ERROR


def test_a_suspect_figure_on_unseen_items_is_no_certificate() -> None:
    figures = DIGITS | {"ov-ptq-int8": Figures(0.33, 0.9985, unseen=1.3, bytes=280_000)}
    run = played(Bench(figures=figures)).run()
    first = run.status.certification[0]
    assert (first.candidate, first.verdict) == (
        "ov-ptq-int8",
        Verdict.ERROR,
    ) and "BaselineSuspect" in first.message
    assert run.status.winner and run.status.winner.candidate != "ov-ptq-int8"


def test_an_fp32_far_better_than_that_of_the_source_is_not_the_yardstick() -> None:
    run = played(Bench(figures=DIGITS | {"ov-f32": Figures(0.8, 1.3)})).run()
    assert run.status.best_f32 == "ort-f32"


def test_without_a_baseline_the_run_fails_with_the_reason() -> None:
    bad = failed(12, "UnsupportedModel", "operator Loop is not supported")
    run = played(Bench(endings={("prepare", "ort-f32"): [bad], ("prepare", "ov-f32"): [bad]})).run()
    assert ready(run) == ("False", "Failed")
    assert "no FP32 baseline can be run" in run.status.message and "operator Loop" in run.status.message


def test_one_infeasible_fp32_leaves_the_other_as_the_baseline() -> None:
    bad = failed(12, "UnsupportedModel")
    run = played(Bench(endings={("prepare", "ort-f32"): [bad]})).run()
    assert run.status.best_f32 == "ov-f32" and ready(run)[1] == "Certified"


def test_an_fp32_that_computes_something_else_is_not_the_yardstick() -> None:
    wrong = {**DIGITS, "ov-f32": Figures(0.5, 0.60)}
    assert played(Bench(wrong)).run().status.best_f32 == "ort-f32"


@pytest.mark.parametrize(
    ("metric", "processes"), [("artifact", 3), ("privateDirty", 5), ("incrementalRss", 5)]
)
def test_a_measurement_has_several_processes_and_more_where_their_memory_counts(
    metric: str, processes: int
) -> None:
    asked = specs(played(gates={"memoryMetric": metric}), MeasureSpec)
    assert min(s.benchmark.processes for s in asked) == processes


def test_the_machine_s_best_so_far_is_told_to_the_next_measurement() -> None:
    asked = specs(played(), MeasureSpec)
    first = next(s for s in asked if s.candidate.id == "ov-f32")
    assert first.reference_seconds is None, "nothing was measured yet"
    assert {s.reference_seconds for s in asked if s is not first} == {0.0008}, "0.80 ms of ov-f32"


# what candidates answer


def test_answers_that_differ_too_often_keep_a_candidate_out_where_that_is_asked() -> None:
    differs = {**DIGITS, "ov-ptq-int8": replace(DIGITS["ov-ptq-int8"], same=0.90)}
    assert played(Bench(differs)).run().status.winner.candidate == "ov-ptq-int8"  # type: ignore[union-attr]
    run = played(Bench(differs), gates={"agreement": "0.97"}).run()
    assert row(run, "ov-ptq-int8").verdict is Verdict.FAIL
    assert "agreement Fail: 0.9000" in row(run, "ov-ptq-int8").message
    assert row(run, "ov-accuracy-control-int8").state == "Measured", "it may keep the answers, too"
    assert run.status.winner and run.status.winner.candidate != "ov-ptq-int8"


def test_certification_asks_for_the_answers_once_more() -> None:
    told = specs(played(gates={"classRetention": "0.9"}), CertifySpec)
    assert [s.class_retention for s in told] == [0.9]
    run = played(gates={"agreement": "0.97", "classRetention": "0.9"}).run()
    assert "agreement Pass: 0.9900" in run.status.certification[0].message
    assert "classRetention Pass" in run.status.certification[0].message


def test_a_preset_becomes_figures_in_run_and_certificate() -> None:
    played_out = played(gates={"preset": "99"})
    run = played_out.run()
    assert (run.spec.gates.preset, run.spec.gates.accuracy_retention) == (None, "0.99")
    assert {s.retention for s in specs(played_out, MeasureSpec)} == {0.99}
    assert specs(played_out, PackageSpec)[0].certificate["gates"]["accuracyRetention"] == "0.99"  # type: ignore[index]


# infeasible candidates


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (12, "UnsupportedModel"),
        (14, "PredictedOutOfResources"),
        (16, "BadOutput"),
        (17, "CalibrationUnusable"),
    ],
)
def test_a_candidate_that_cannot_be_made_is_infeasible_and_the_run_goes_on(code: int, reason: str) -> None:
    run = played(Bench(endings={("prepare", "ov-ptq-int8"): [failed(code, reason, "told so")]})).run()
    result = row(run, "ov-ptq-int8")
    assert (result.state, result.reason, result.message) == ("Infeasible", reason, "told so")
    assert run.status.winner and run.status.winner.candidate == "ort-static-int8"
    assert row(run, "ov-accuracy-control-int8").state == "Skipped"


def test_out_of_memory_gets_half_again_the_memory_once() -> None:
    oom = (137, None, "OOMKilled")
    made = played(Bench(endings={("prepare", "ov-ptq-int8"): [oom, None]}))
    assert row(made.run(), "ov-ptq-int8").state == "Measured"
    limits = sorted(
        j["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        for j in made.of("Job")
        if j["metadata"]["labels"].get("edgeramp.dev/candidate") == "ov-ptq-int8"
        and j["metadata"]["labels"]["edgeramp.dev/role"] == "prepare"
    )
    assert limits == ["2048Mi", "3072Mi"]


def test_out_of_memory_twice_is_infeasible() -> None:
    run = played(Bench(endings={("prepare", "ov-ptq-int8"): [(137, None, "OOMKilled")]})).run()
    result = row(run, "ov-ptq-int8")
    assert (result.state, result.reason) == ("Infeasible", "OutOfMemory")


def test_a_candidate_past_its_deadline_is_infeasible() -> None:
    run = played(Bench(endings={("prepare", "ov-ptq-int8"): [(137, None, "DeadlineExceeded")]})).run()
    assert row(run, "ov-ptq-int8").reason == "DeadlineExceeded" and ready(run)[1] == "Certified"


def test_a_transient_failure_is_tried_again() -> None:
    bench = Bench(endings={("measure", "ov-ptq-int8"): [failed(20, "SourceUnavailable"), None]})
    run = played(bench).run()
    assert row(run, "ov-ptq-int8").verdict is Verdict.PASS
    assert [n for verb, name, n in bench.seen if (verb, name) == ("measure", "ov-ptq-int8")] == [1, 2]


def test_a_transient_failure_that_stays_makes_the_candidate_infeasible() -> None:
    run = played(Bench(endings={("measure", "ov-ptq-int8"): [failed(20, "SourceUnavailable")]})).run()
    assert row(run, "ov-ptq-int8").reason == "SourceUnavailable" and ready(run)[1] == "Certified"


def test_an_image_that_is_missing_makes_its_candidates_infeasible_and_their_jobs_go() -> None:
    made = world()
    for _ in range(60):
        made.look()
        for job in made.running():
            image = job["spec"]["template"]["spec"]["containers"][0]["image"]
            if "openvino" in image:
                job["pod"] = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
            else:
                made.finish(job)
        made.now += 30.0
    run = made.run()
    assert {r.reason for r in run.status.candidates if r.id == "ov-ptq-int8"} == {"ImageMissing"}
    assert run.status.winner and run.status.winner.candidate == "ort-static-int8"
    assert not made.running()


def test_a_summary_of_the_wrong_kind_is_infeasible_not_a_crash() -> None:
    odd = (0, Failure(code=0, reason="X", message="y"), "Completed")
    run = played(Bench(endings={("prepare", "ov-ptq-int8"): [odd]})).run()
    assert row(run, "ov-ptq-int8").reason == "BadSummary"


# disturbed measurements


def test_a_disturbed_measurement_is_repeated() -> None:
    bench = Bench({**DIGITS, "ov-ptq-int8": Figures(0.33, 0.9985, bytes=280_000, valid=False)})
    run = played(bench).run()
    tries = [n for verb, name, n in bench.seen if (verb, name) == ("measure", "ov-ptq-int8")]
    assert tries == [1, 2, 3]
    result = row(run, "ov-ptq-int8")
    assert result.verdict is Verdict.INCONCLUSIVE and "throttled for 2 %" in result.message
    assert run.status.winner and run.status.winner.candidate == "ort-static-int8"


def test_a_disturbed_candidate_that_fails_without_its_times_is_not_measured_again() -> None:
    bench = Bench({**DIGITS, "ov-weights-int8": Figures(0.79, 0.9990, valid=False)})  # saves no memory
    run = played(bench).run()
    assert [n for verb, name, n in bench.seen if (verb, name) == ("measure", "ov-weights-int8")] == [1]
    result = row(run, "ov-weights-int8")
    assert result.verdict is Verdict.FAIL and "memoryReduction" in result.message
    assert run.status.winner and run.status.winner.candidate == "ov-ptq-int8"


# measurements that do not decide


def test_a_measurement_whose_bounds_do_not_decide_is_repeated_once_for_longer() -> None:
    wobbly = {**DIGITS, "ov-ptq-int8": Figures(0.33, 0.9985, bytes=280_000, cv=0.09)}
    made = played(bench := Bench(wobbly))
    assert [n for verb, name, n in bench.seen if (verb, name) == ("measure", "ov-ptq-int8")] == [1, 2]
    budgets = sorted(
        s.benchmark.budget_seconds for s in specs(made, MeasureSpec) if s.candidate.id == "ov-ptq-int8"
    )
    assert budgets == [30.0, 90.0]
    assert row(made.run(), "ov-ptq-int8").verdict is Verdict.INCONCLUSIVE


def test_a_longer_measurement_that_decides_counts() -> None:
    bench = Bench({**DIGITS, "ov-ptq-int8": Figures(0.33, 0.9985, bytes=280_000, cv=0.09)})
    made = world(bench)

    def script(spec: Any, attempt: int, where: str) -> Any:
        bench.figures = DIGITS if attempt > 1 else {**bench.figures}
        return bench(spec, attempt, where)

    made.script = script
    made.until_idle()
    assert row(made.run(), "ov-ptq-int8").verdict is Verdict.PASS
    assert made.run().status.winner and made.run().status.winner.candidate == "ov-ptq-int8"


def test_a_candidate_that_fails_another_gate_is_not_measured_longer() -> None:
    wobbly = {**DIGITS, "ov-ptq-int8": Figures(0.33, 0.9985, cv=0.09)}
    played(bench := Bench(wobbly))
    assert [n for verb, name, n in bench.seen if (verb, name) == ("measure", "ov-ptq-int8")] == [1]


# certification


def test_the_next_best_is_certified_at_half_the_alpha_when_the_first_fails() -> None:
    unlucky = {**DIGITS, "ov-ptq-int8": Figures(0.33, 0.9985, unseen=0.90, bytes=280_000)}
    run = played(Bench(unlucky)).run()
    tried = [(t.candidate, t.alpha, t.verdict) for t in run.status.certification]
    assert tried == [("ov-ptq-int8", "0.025", Verdict.FAIL), ("ort-static-int8", "0.0125", Verdict.PASS)]
    assert run.status.winner and run.status.winner.candidate == "ort-static-int8"


def test_at_most_three_candidates_are_certified() -> None:
    bad = {name: Figures(f.p50, f.retention, unseen=0.5, bytes=f.bytes) for name, f in DIGITS.items()}
    run = played(Bench(bad), gates={"speedup": "0.8"}).run()
    assert [t.alpha for t in run.status.certification] == ["0.025", "0.0125", "0.00625"]
    assert ready(run) == ("False", "NoCandidate")
    assert "certification at alpha 0.025: Fail" in run.status.message


def test_a_certifying_job_that_fails_for_good_gives_the_next_one_a_try() -> None:
    run = played(Bench(endings={("certify", "ov-ptq-int8"): [failed(12, "UnsupportedModel")]})).run()
    assert [t.verdict for t in run.status.certification] == [Verdict.ERROR, Verdict.PASS]


def test_a_package_that_cannot_be_made_fails_the_run_with_the_reason() -> None:
    bad = failed(10, "SigningKeyUnusable", "not an ECDSA key")
    run = played(Bench(endings={("package", "ov-ptq-int8"): [bad]})).run()
    assert ready(run) == ("False", "Failed") and "not an ECDSA key" in run.status.message


def test_without_a_signing_key_the_run_waits_and_says_what_to_create() -> None:
    made = world()
    made.secret_missing = True
    made.until_idle(patience=300.0)
    stalled = next(c for c in made.run().status.conditions if c.type == "Stalled")
    assert stalled.reason == "SigningKeyMissing" and "edgeramp-signing" in stalled.message
    assert not made.leases
    made.secret_missing = False
    made.until_idle()
    assert ready(made.run())[1] == "Certified"


# nodes


def test_without_a_node_the_run_stalls_and_resumes_when_one_comes() -> None:
    made = world()
    for _ in range(8):
        made.look()
        made.finish_all()
    nodes, made.nodes = made.nodes, []
    made.until_idle(patience=300.0)
    stalled = next(c for c in made.run().status.conditions if c.type == "Stalled")
    assert stalled.reason == "NoMatchingNode" and not made.leases
    made.nodes = nodes
    made.until_idle()
    assert ready(made.run())[1] == "Certified"


def test_a_search_that_moves_to_another_node_measures_anew_there() -> None:
    bench = Bench()
    made = world(bench)
    while not any(r.measured for r in (made.run().status.candidates if made.of("OptimizationRun") else ())):
        made.look()
        made.finish_all()
    made.look()
    made.nodes = [node("other", {VNNI: "true"})]
    made.until_idle()
    run = made.run()
    assert run.status.node == "other" and ready(run)[1] == "Certified"
    assert {r.measured.environment.node for r in run.status.candidates if r.measured} == {"other"}
    prepared = [name for verb, name, _ in bench.seen if verb == "prepare"]
    assert len(prepared) == len(set(prepared)), "what was prepared stays"


def test_a_job_on_a_node_that_is_gone_is_not_waited_for() -> None:
    made = world()
    while not [j for j in made.running() if "edgeramp.dev/run" in j["metadata"]["labels"]]:
        made.look()
        if not made.of("OptimizationRun"):
            made.finish_all()
    lost = {j["metadata"]["name"] for j in made.running()}
    made.nodes = [node("other", {VNNI: "true"})]
    for _ in range(5):
        made.look()
    running = {j["metadata"]["name"] for j in made.running()}
    assert running and not running & lost
    made.until_idle()
    assert ready(made.run())[1] == "Certified"


def test_a_run_that_is_being_deleted_starts_nothing_and_gives_its_machine_free() -> None:
    made = world()
    while not made.leases:
        made.look()
        made.finish_all()
    (run,) = made.of("OptimizationRun")
    run["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    started = list(made.started)
    made.until_idle()
    assert made.started == started and not made.leases


def test_a_node_whose_label_lied_is_left_for_another() -> None:
    lie = failed(13, "HardwareMismatch", "the CPU lacks AVX512VNNI")
    bench = Bench()
    made = world(bench)
    honest = bench.__class__.__call__
    made.nodes = [node("a-liar", {VNNI: "true"}), node("b-honest", {VNNI: "true"})]
    made.script = lambda spec, n, where: lie if where == "a-liar" else honest(bench, spec, n, where)
    made.until_idle()
    run = made.run()
    assert run.status.rejected_nodes == ["a-liar"] and run.status.node == "b-honest"
    assert ready(run)[1] == "Certified"
    assert not any(r.infeasible for r in run.status.candidates)


def test_when_all_labels_lied_the_run_stalls() -> None:
    lie = failed(13, "HardwareMismatch", "the CPU lacks AVX512VNNI")
    made = world()
    made.script = lambda spec, n, where: (
        lie if spec.verb in ("prepare", "measure") else Bench()(spec, n, where)
    )
    made.until_idle(patience=300.0)
    stalled = next(c for c in made.run().status.conditions if c.type == "Stalled")
    assert stalled.reason == "NoMatchingNode" and "box lack what their labels promise" in stalled.message


# Leases


def shared_world(bench: Bench) -> World:
    made = World(bench, nodes=[node("n1", {VNNI: "true"}, host="m"), node("n2", {AVX2: "true"}, host="m")])
    targets = [TARGET, {"name": "plain", "nodeSelector": {AVX2: "true"}}]
    made.objects["EdgeModel", "digits"] = edgemodel(targets=targets)
    return made


def test_on_a_shared_machine_only_the_holder_of_the_lease_runs_jobs() -> None:
    made = shared_world(Bench())
    measured_beside: list[int] = []
    for _ in range(300):
        changed = made.look()
        running = [j for j in made.running() if "edgeramp.dev/run" in j["metadata"]["labels"]]
        runs = {j["metadata"]["labels"]["edgeramp.dev/run"] for j in running}
        assert len(runs) <= 1
        measuring = [
            j for j in running if j["metadata"]["labels"]["edgeramp.dev/role"] in ("measure", "certify")
        ]
        if measuring:
            measured_beside.append(len(running))
        if not changed and not made.finish_all():
            made.now += 2.0
    assert set(measured_beside) == {1}, "a measuring Job is alone on its machine"
    assert [ready(OptimizationRun.model_validate(r))[1] for r in made.of("OptimizationRun")] == [
        "Certified"
    ] * 2
    assert not made.leases


def test_a_run_waits_for_a_machine_in_use_and_says_by_whom() -> None:
    made = world()
    while not made.of("OptimizationRun"):
        made.look()
        made.finish_all()
    made._take("edgeramp-measure-box", "other/run/abc", 120)
    made.look()
    run = made.run()
    assert run.status.message == "waits for the machine box, in use by other/run"
    made.until_idle()
    assert ready(made.run())[1] == "Certified", "a Lease that nobody renews runs out"


def test_a_lease_is_renewed_while_a_job_runs_and_given_back_at_the_end() -> None:
    made = world(Bench())
    made.job_seconds = 100.0
    made.until_idle()
    assert ready(made.run())[1] == "Certified" and not made.leases


# the deadline


def test_at_the_deadline_the_rest_is_infeasible_and_the_best_so_far_is_certified() -> None:
    made = world()
    made.job_seconds = 1500.0
    made.until_idle(limit=2000)
    run = made.run()
    late = [r.id for r in run.status.candidates if r.reason == "RunDeadlineExceeded"]
    assert late and not made.running()
    assert ready(run)[1] in ("Certified", "NoCandidate")


def test_a_run_that_never_gets_anywhere_ends_at_its_deadline() -> None:
    made = world()
    for _ in range(3):
        made.look()
        if made.of("OptimizationRun"):
            break
        made.finish_all()
    for _ in range(300):
        made.look()
        made.now += 60.0
    run = made.run()
    assert ready(run) == ("False", "Failed") and run.status.finished_at
    assert not [j for j in made.running() if "edgeramp.dev/run" in j["metadata"]["labels"]]


# repeating


def test_a_finished_run_is_left_as_it_is() -> None:
    made = played()
    before = made.run().model_dump()
    made.now += 1e6
    made.objects = {k: v for k, v in made.objects.items() if k[0] not in ("Job", "ConfigMap")}
    made.look()
    assert made.run().model_dump() == before and not made.running()


def test_results_do_not_depend_on_jobs_that_were_deleted() -> None:
    made = world(bench := Bench())
    for _ in range(400):
        changed = made.look()
        for job in [j for j in made.of("Job") if j["status"].get("conditions")]:
            made.objects.pop(("Job", job["metadata"]["name"]), None)
        if not changed and not made.finish_all():
            break
    assert ready(made.run())[1] == "Certified"
    assert len(bench.seen) == len(set(bench.seen)), "nothing was done twice"


def test_a_spec_that_this_operator_cannot_read_stalls() -> None:
    made = played()
    run = made.of("OptimizationRun")[0]
    made.objects["OptimizationRun", run["metadata"]["name"]]["spec"]["candidates"][0]["framework"] = "qnn"
    decision = made.decide("OptimizationRun", run["metadata"]["name"])
    status = decision.status.wire()
    assert status["phase"] == "Stalled" and not decision.actions
    assert status["winner"] == run["status"]["winner"], "facts are kept"


def test_jobs_run_in_the_namespace_of_the_run() -> None:
    assert {j["metadata"]["namespace"] for j in played().of("Job")} == {NAMESPACE}


# the certification report


def findings_of(**spec: Any) -> dict[str, Findings]:
    return {s.runner.id: Findings.model_validate(s.findings) for s in specs(played(**spec), PackageSpec)}


def test_the_findings_tell_the_whole_story_of_the_winner() -> None:
    found = findings_of()["ov-ptq-int8"]
    assert found.certified and found.identity.reference == "ov-f32"
    assert [f.gate for f in found.findings][:2] == ["accuracyRetention", "speedup"]
    assert [c.id for c in found.contenders if c.chosen] == ["ov-ptq-int8"]
    assert found.evidence.measure == digest("report/ov-ptq-int8") and found.evidence.certify == digest(
        "certify"
    )
    assert found.validity.isa == ("AVX512VNNI",) and found.validity.days == 365


def test_every_limit_to_watch_is_where_its_gate_would_be_missed() -> None:
    watched = {t.metric: t for t in findings_of()["ov-ptq-int8"].monitoring}
    assert (
        watched["accuracy"].limit == pytest.approx(0.95 * 0.98) and watched["accuracy"].direction == "atLeast"
    )
    assert watched["latencyP50"].limit == pytest.approx(0.80 / 2) and watched["latencyP50"].baseline == 0.33
    assert watched["artifact"].limit == pytest.approx(0.5 * watched["artifact"].baseline / 0.28)
    assert watched["latencyVariation"].limit == 0.10


def test_the_findings_on_the_baseline_rest_on_no_gate() -> None:
    found = findings_of(**BASELINE)["ov-f32"]
    assert not found.certified and found.approval.basis == "none" and found.evidence.certify is None
