"""Every verb end to end, as a Job runs it: a process, a spec file, a real registry, a summary."""

from __future__ import annotations

import io
import json
import pickle
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import requests

from edgeramp.report import MeasureSummary
from edgeramp_harness.store import Registry

from .conftest import Bench, Things, split_arrays, tiny_model

FAST = {
    "budgetSeconds": 30,
    "targetHalfWidth": 0.5,
    "blockSeconds": 0.005,
    "minRounds": 30,
    "latencyRuns": 300,
}


def candidate(framework: str, technique: str, precision: str, **params: Any) -> dict[str, Any]:
    return {
        "id": f"{framework}-{technique}", "framework": framework, "technique": technique, "precision": precision,
        "params": params,
    }  # fmt: skip


def ref(digest: str, model_format: str | None = None) -> dict[str, Any]:
    return {"digest": digest, **({"format": model_format} if model_format else {})}


def runner(
    name: str, framework: str, precision: str, digest: str, model_format: str = "onnx"
) -> dict[str, Any]:
    return {"id": name, "framework": framework, "precision": precision, "artifact": ref(digest, model_format)}


def prepare(bench: Bench, things: Things, which: dict[str, Any], **spec: Any) -> Any:
    body = {"model": ref(things.model, "onnx"), "calibration": ref(things.calibration), **spec}
    return bench.run("prepare", candidate=which, **body)


# stage


@pytest.fixture(scope="module")
def website(bench: Bench, things: Things) -> Iterator[str]:
    """An HTTP server with the model and the data."""
    folder = bench.folder / "www"
    Registry(bench.host, bench.repository, True).pull(things.model, folder)
    Registry(bench.host, bench.repository, True).pull(things.selection, folder)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def stage(bench: Bench, uri: str, **source: Any) -> Any:
    return bench.run("stage", model={"uri": uri, **source}, modelFormat="onnx", data={})


def test_stage_copies_from_a_registry_a_website_and_a_volume_to_the_same_digest(
    bench: Bench, things: Things, website: str
) -> None:
    claim = bench.folder / "sources/claim/deep"
    claim.mkdir(parents=True, exist_ok=True)
    (claim / "net.onnx").write_bytes(requests.get(f"{website}/model.onnx", timeout=5).content)
    uris = (
        f"oci://{bench.host}/{bench.repository}:model",
        f"{website}/model.onnx",
        "pvc://claim/deep/net.onnx",
    )
    for uri in uris:
        result = bench.run(
            "stage",
            model={"uri": uri},
            modelFormat="onnx",
            data={"selection": {"uri": f"{website}/data.npz"}},
        )
        assert result.code == 0, result.log
        assert result.summary.model.digest == things.model
        assert result.summary.data["selection"].digest == things.selection


def test_stage_reads_a_registry_other_than_the_store(bench: Bench, things: Things) -> None:
    copied = Bench(bench.host, bench.folder, "elsewhere/store").run(
        "stage",
        model={"uri": f"oci://{bench.host}/{bench.repository}@{things.model}"},
        modelFormat="onnx",
        data={},
    )
    assert copied.summary.model.digest == things.model


def test_stage_with_a_wrong_digest_ends_with_11_and_names_both(
    bench: Bench, things: Things, website: str
) -> None:
    wrong = f"sha256:{'0' * 64}"
    for uri in (f"{website}/model.onnx", f"oci://{bench.host}/{bench.repository}:model"):
        result = stage(bench, uri, digest=wrong)
        assert result.code == 11
        assert result.failure.reason == "DigestMismatch"
        assert wrong in result.failure.message
        assert result.failure.message.count("sha256:") == 2


@pytest.mark.parametrize(
    "uri", ["{web}/none.onnx", "oci://{host}/team/store:none", "pvc://claim/none.onnx", "pvc://no/a"]
)
def test_a_missing_source_is_the_users_to_mend(bench: Bench, website: str, uri: str) -> None:
    (bench.folder / "sources/claim").mkdir(parents=True, exist_ok=True)
    result = stage(bench, uri.format(web=website, host=bench.host))
    assert (result.code, result.failure.reason) == (10, "SourceNotFound")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/m.onnx", "oci://127.0.0.1:9/a/b:c"])
def test_a_source_that_cannot_be_reached_may_come_back(bench: Bench, uri: str) -> None:
    result = stage(bench, uri, plainHttp=True)
    assert (result.code, result.failure.reason) == (20, "SourceUnavailable")


@pytest.mark.parametrize("uri", ["s3://bucket/m.onnx", "hf://org/name", "ftp://x/y", "oci://nothing"])
def test_other_sources_end_with_10_and_say_what_to_do(bench: Bench, uri: str) -> None:
    result = stage(bench, uri)
    assert result.code == 10
    assert "oci://" in result.failure.message


def test_a_volume_path_may_not_lead_out_of_the_claim(bench: Bench) -> None:
    (bench.folder / "sources/claim").mkdir(parents=True, exist_ok=True)
    (bench.folder / "sources/secret.onnx").write_bytes(b"x")
    result = stage(bench, "pvc://claim/../secret.onnx")
    assert result.code == 10
    assert "leads out" in result.failure.message


def test_pickle_formats_are_refused_by_name_and_by_content(bench: Bench) -> None:
    torch_zip = io.BytesIO()
    with zipfile.ZipFile(torch_zip, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    claim = bench.folder / "sources/pickles"
    claim.mkdir(parents=True, exist_ok=True)
    for name, content in (("a.onnx", pickle.dumps([1] * 50)), ("b.onnx", torch_zip.getvalue())):
        (claim / name).write_bytes(content)
        result = stage(bench, f"pvc://pickles/{name}")
        assert (result.code, result.failure.reason) == (12, "PickleRefused")
    artifact = bench.push("pickled", _file(bench, "model.pt", b"anything"))
    assert stage(bench, f"oci://{bench.host}/{bench.repository}@{artifact}").failure.reason == "PickleRefused"


def _file(bench: Bench, name: str, content: bytes) -> Path:
    path = bench.folder / "files" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


# assess


def assess(bench: Bench, things: Things, **spec: Any) -> Any:
    data = {k: ref(getattr(things, k)) for k in ("calibration", "selection", "certification")}
    return bench.run("assess", **{"model": ref(things.model, "onnx"), "data": data, **spec})


def test_assess_reads_the_facts_from_the_file(bench: Bench, things: Things) -> None:
    facts = assess(bench, things).summary.assessment
    assert facts.architecture == "cnn"
    assert facts.opset == 17
    assert facts.parameters == 8 * 9 + 128 * 64 + 64 * 5
    assert facts.operators == {"Relu": 2, "Gemm": 2, "Conv": 1, "Flatten": 1, "Div": 1}
    assert facts.inputs == {"image": ["n", 1, 4, 4]}
    assert facts.quantizable_operators == 3
    assert facts.items == {"calibration": 64, "certification": 200, "selection": 200}


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a" * 40])
def test_a_corrupt_model_ends_with_12(bench: Bench, things: Things, content: bytes) -> None:
    result = assess(bench, things, model=ref(bench.model("corrupt", content), "onnx"))
    assert (result.code, result.failure.reason) == (12, "CorruptModel")


def test_a_model_cut_off_in_the_middle_ends_with_12(bench: Bench, things: Things) -> None:
    whole = tiny_model().SerializeToString()
    result = assess(bench, things, model=ref(bench.model("cut", whole[: len(whole) // 2]), "onnx"))
    assert (result.code, result.failure.reason) == (12, "CorruptModel")


def test_weights_in_other_files_are_refused(bench: Bench, things: Things) -> None:
    model = tiny_model()
    tensor = model.graph.initializer[1]
    onnx.external_data_helper.set_external_data(tensor, "../../etc/passwd")
    tensor.ClearField("raw_data")
    result = assess(bench, things, model=ref(bench.model("external", model), "onnx"))
    assert (result.code, result.failure.reason) == (12, "ExternalDataRefused")


def test_splits_that_share_items_end_with_17_and_the_number(bench: Bench, things: Things) -> None:
    shared = ref(bench.split("shared", split_arrays(250, 50)))  # 64..264 is the selection split
    data = {
        "calibration": ref(things.calibration),
        "selection": ref(things.selection),
        "certification": shared,
    }
    result = assess(bench, things, data=data)
    assert (result.code, result.failure.reason) == (17, "SplitOverlap")
    assert "share 14 items" in result.failure.message


def _broken(arrays: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {k: v for k, v in {**arrays, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"y": None}, "no array 'y'"),
        ({"x.image": None}, "0 input arrays"),
        ({"id": np.array(["a"] * 8)}, "more than once"),
        ({"y": np.zeros(3, np.int64)}, "y has 3 items"),
        ({"x.other": np.zeros(8)}, "takes x.image"),
        ({"x.image": np.zeros((8, 1, 5, 4), np.float32)}, "[8, 1, 5, 4]"),
        ({"x.image": np.full((8, 1, 4, 4), np.nan, np.float32)}, "not finite"),
        ({"y": np.array([{}] * 8, object)}, "without unpickling"),
    ],
)
def test_unusable_data_ends_with_17_and_says_why(
    bench: Bench, things: Things, changes: Any, says: str
) -> None:
    arrays = _broken(split_arrays(0, 8, labels=np.zeros(8)), **changes)
    result = assess(bench, things, data={"calibration": ref(bench.split("broken", arrays))})
    assert result.code == 17, result.log
    assert says in result.failure.message


# prepare


@pytest.mark.parametrize(
    ("which", "quantized"),
    [
        (candidate("onnxruntime", "fp32", "f32"), None),
        (candidate("onnxruntime", "dynamic-int8", "int8"), 3),
        (candidate("onnxruntime", "static-int8", "int8", method="percentile"), 3),
        (candidate("openvino", "fp32", "f32"), None),
    ],
    ids=lambda v: v["id"] if isinstance(v, dict) else "",
)
def test_prepare_makes_an_artifact_and_a_report(
    bench: Bench, things: Things, which: Any, quantized: Any
) -> None:
    result = prepare(bench, things, which)
    assert result.code == 0, result.log
    assert result.summary.operators_quantized == quantized
    registry = Registry(bench.host, bench.repository, True)
    titles = {layer.title for layer in registry.find(result.summary.artifact).layers}
    assert titles == ({"model.onnx"} if which["framework"] == "onnxruntime" else {"model.xml", "model.bin"})
    folder = bench.folder / "reports" / which["id"]
    registry.pull(result.summary.report, folder)
    report = json.loads((folder / "report.json").read_text())
    assert report["artifact"]["digest"] == result.summary.artifact
    assert report["environment"]["isa"]


@pytest.mark.parametrize(
    ("which", "processes"),
    [
        (candidate("onnxruntime", "static-int8", "int8"), (False, True)),
        # OpenVINO numbers its nodes per process: only fresh processes, as Jobs are, write equal files.
        (candidate("openvino", "fp32", "f32"), (True, True)),
    ],
    ids=["onnxruntime", "openvino"],
)
def test_preparing_again_gives_the_same_digest(
    bench: Bench, things: Things, which: Any, processes: Any
) -> None:
    first, second = (prepare(bench, things, which, process=p).summary.artifact for p in processes)
    assert first == second


def test_fp32_of_onnxruntime_is_the_staged_model_itself(bench: Bench, things: Things) -> None:
    assert prepare(bench, things, candidate("onnxruntime", "fp32", "f32")).summary.artifact == things.model


@pytest.mark.parametrize("technique", ["ptq", "accuracy-control", "weight-compression"])
def test_nncf_techniques(bench: Bench, things: Things, technique: str) -> None:
    pytest.importorskip("nncf", reason="nncf is only in the openvino image's environment")
    result = prepare(
        bench,
        things,
        candidate("openvino", technique, "int8"),
        selection=ref(things.selection),
        maxAccuracyDrop=0.08,
    )
    assert result.code == 0, result.log
    assert result.summary.operators_quantized >= 1
    assert "nncf" in result.summary.tool


def test_an_image_without_nncf_says_so(bench: Bench, things: Things) -> None:
    try:
        import nncf  # noqa: F401
    except ImportError:
        result = prepare(bench, things, candidate("openvino", "ptq", "int8"))
        assert (result.code, result.failure.reason) == (12, "ToolMissing")


def test_a_cpu_without_the_promised_instructions_ends_with_13(bench: Bench, things: Things) -> None:
    for verb in ("prepare", "measure"):
        spec: dict[str, Any] = {"requiredIsa": ["AVX1024VNNI"]}
        if verb == "prepare":
            result = prepare(bench, things, candidate("onnxruntime", "fp32", "f32"), **spec)
        else:
            side = runner("a", "onnxruntime", "f32", things.model)
            result = bench.run("measure", reference=side, candidate=side, data=ref(things.selection), **spec)
        assert (result.code, result.failure.reason) == (13, "HardwareMismatch")
        assert "AVX1024VNNI" in result.failure.message


def test_a_model_with_infinite_answers_ends_with_16(bench: Bench, things: Things) -> None:
    poisoned = ref(bench.model("poisoned", tiny_model(poison=True)), "onnx")
    result = prepare(bench, things, candidate("onnxruntime", "fp32", "f32"), model=poisoned)
    assert (result.code, result.failure.reason) == (16, "NotFinite")


def test_a_model_with_nothing_to_quantize_ends_with_12(bench: Bench, things: Things) -> None:
    port = partial(onnx.helper.make_tensor_value_info, elem_type=onnx.TensorProto.FLOAT, shape=["n", 1, 4, 4])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["image"], ["o"])], "g", [port(name="image")], [port(name="o")]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
    only_relu = ref(bench.model("relu", model), "onnx")
    result = prepare(bench, things, candidate("onnxruntime", "dynamic-int8", "int8"), model=only_relu)
    assert (result.code, result.failure.reason) == (12, "NothingQuantized")


def test_a_technique_of_another_framework_ends_with_10(bench: Bench, things: Things) -> None:
    result = prepare(bench, things, candidate("onnxruntime", "ptq", "int8"))
    assert result.code == 10
    assert "static-int8" in result.failure.message


# measure and certify


@pytest.fixture(scope="module")
def measured(bench: Bench, things: Things) -> Any:
    quantized = prepare(bench, things, candidate("onnxruntime", "static-int8", "int8")).summary.artifact
    sides = {
        "reference": runner("fp32", "onnxruntime", "f32", things.model),
        "candidate": runner("int8", "onnxruntime", "int8", quantized),
    }
    return sides, bench.run("measure", **sides, data=ref(things.selection), benchmark=FAST)


def test_measure_reports_paired_quality_speed_and_memory(bench: Bench, measured: Any) -> None:
    summary: MeasureSummary = measured[1].summary
    quality, latency, memory = summary.quality, summary.latency, summary.memory
    assert quality.items == 200
    assert quality.reference == pytest.approx(0.9)
    counts = (quality.both, quality.only_reference, quality.only_candidate, quality.neither)
    assert sum(c for c in counts if c is not None) == 200
    assert quality.lower <= quality.retention
    assert quality.margin_lower <= quality.candidate - 0.95 * quality.reference <= quality.margin_upper
    assert latency.speedup_lower <= latency.speedup <= latency.speedup_upper
    assert latency.rounds >= 30 and latency.processes == 1
    assert any("one pair of processes" in w for w in summary.warnings)
    behaviour = quality.behaviour
    assert behaviour is not None
    assert behaviour.agreement_lower <= behaviour.agreement <= behaviour.agreement_upper
    assert latency.candidate_p99 is not None
    assert memory.artifact < memory.artifact_reference
    assert memory.incremental_rss is not None
    assert memory.incremental_rss > 0
    assert summary.environment.versions["onnxruntime"]


def test_the_report_holds_what_the_bounds_were_computed_from(bench: Bench, measured: Any) -> None:
    folder = bench.folder / "measure-report"
    Registry(bench.host, bench.repository, True).pull(measured[1].summary.report, folder)
    report = json.loads((folder / "report.json").read_text())
    run = report["processes"][0]["runs"][-1]
    assert len(run["candidateBlockMediansSeconds"]) == len(run["order"].split())
    assert set(run["order"].split()) <= {"ABBA", "BAAB"}
    scores = np.load(folder / "scores.npz", allow_pickle=False)
    same = scores["candidateAnswer"] == scores["referenceAnswer"]
    assert same.mean() == pytest.approx(measured[1].summary.quality.behaviour.agreement)
    assert scores["candidate"].mean() == pytest.approx(measured[1].summary.quality.candidate)


def test_p99_is_null_where_there_are_too_few_runs(bench: Bench, measured: Any, things: Things) -> None:
    few = {"budgetSeconds": 0.1, "blockSeconds": 0.000001, "minRounds": 30, "latencyRuns": 1}
    result = bench.run("measure", **measured[0], data=ref(things.selection), benchmark=few)
    assert result.summary.latency.candidate_p99 is None
    assert any("too few runs for p99" in w for w in result.summary.warnings)


def test_several_fresh_processes_bound_the_memory_saved(bench: Bench, measured: Any, things: Things) -> None:
    quick = {
        "budgetSeconds": 0.5,
        "blockSeconds": 0.005,
        "minRounds": 5,
        "latencyRuns": 1,
        "processes": 3,
    }
    result = bench.run("measure", **measured[0], data=ref(things.selection), benchmark=quick)
    assert result.code == 0
    memory = result.summary.memory
    for seen in (memory.incremental_rss_saved, memory.private_dirty_saved):
        assert seen is None or (seen.processes == 3 and seen.lower <= seen.share <= seen.upper)
    assert memory.incremental_rss_saved is not None, "each process grows when it loads a model"


def test_a_run_that_cannot_reach_its_rounds_is_void_after_three_tries(
    bench: Bench, measured: Any, things: Things
) -> None:
    hopeless = {"budgetSeconds": 0.01, "blockSeconds": 0.005, "minRounds": 500, "latencyRuns": 1}
    result = bench.run("measure", **measured[0], data=ref(things.selection), benchmark=hopeless)
    assert result.code == 0, "a missed measurement is never a failed Job"
    assert not result.summary.latency.valid
    assert "of 500 rounds" in result.summary.latency.void_reason
    assert result.log.count("void:") == 3


def test_a_candidate_that_fails_on_one_item_ends_with_16_and_the_item(bench: Bench, things: Things) -> None:
    model = _gather_model()
    arrays = split_arrays(64, 20, labels=np.zeros(20))
    arrays["x.image"] = np.abs(arrays["x.image"])
    arrays["x.image"][13] = -100
    side = runner("gather", "onnxruntime", "f32", bench.model("gather", model))
    result = bench.run("measure", reference=side, candidate=side, data=ref(bench.split("late", arrays)))
    assert (result.code, result.failure.reason) == (16, "InferenceFailed")
    assert "item 13" in result.failure.message


def _gather_model() -> onnx.ModelProto:
    """Gather with an index from the input: out of range for a strongly negative mean."""
    helper = onnx.helper
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Cast", ["m"], ["i"], to=onnx.TensorProto.INT64),
        helper.make_node("Gather", ["table", "i"], ["scores"]),
    ]
    table = onnx.numpy_helper.from_array(np.eye(5, dtype=np.float32)[[0, 0, 0, 0, 0]], "table")
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", 5])], [table],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def test_an_artifact_the_framework_cannot_load_ends_with_16(bench: Bench, things: Things) -> None:
    broken = bench.model("unloadable", b"garbage")
    result = bench.run(
        "measure",
        reference=runner("ok", "onnxruntime", "f32", things.model),
        candidate=runner("broken", "onnxruntime", "f32", broken),
        data=ref(things.selection),
    )
    assert (result.code, result.failure.reason) == (16, "NotLoadable")
    assert "candidate broken" in result.failure.message


def test_a_deadline_ends_with_15(bench: Bench, measured: Any, things: Things) -> None:
    slow = {"budgetSeconds": 60, "targetHalfWidth": 0.0000001}
    result = bench.run(
        "measure", **measured[0], data=ref(things.selection), benchmark=slow, deadlineSeconds=4
    )
    assert (result.code, result.failure.reason) == (15, "DeadlineExceeded")


def test_certify_judges_the_last_split_at_its_alpha(bench: Bench, measured: Any, things: Things) -> None:
    result = bench.run("certify", **measured[0], data=ref(things.certification), alpha=0.0125)
    assert result.code == 0, result.log
    assert result.summary.quality.confidence == pytest.approx(0.9875)
    assert result.summary.alpha == 0.0125
    wider = bench.run("certify", **measured[0], data=ref(things.certification), alpha=0.05)
    assert result.summary.quality.lower < wider.summary.quality.lower
    assert result.summary.report


def test_labels_that_never_match_are_called_what_they_are(bench: Bench, things: Things) -> None:
    nonsense = bench.split("nonsense", split_arrays(64, 20, labels=np.full(20, 77)))
    side = runner("a", "onnxruntime", "f32", things.model)
    result = bench.run("certify", reference=side, candidate=side, data=ref(nonsense))
    assert (result.code, result.failure.reason) == (16, "BaselineUseless")


def test_an_unknown_metric_lists_the_known(bench: Bench, measured: Any, things: Things) -> None:
    result = bench.run("certify", **measured[0], data=ref(things.certification), metric="bleu")
    assert (result.code, result.failure.reason) == (10, "UnknownMetric")
    assert "accuracy" in result.failure.message


# the spec itself


def test_a_spec_with_an_unknown_field_ends_with_10_and_names_it(bench: Bench, things: Things) -> None:
    result = assess(bench, things, surprise=1)
    assert result.code == 10
    assert "surprise" in result.failure.message


def test_a_store_that_lost_an_artifact_is_told_apart_from_one_that_is_away(
    bench: Bench, things: Things
) -> None:
    gone = ref(f"sha256:{'1' * 64}", "onnx")
    assert assess(bench, things, model=gone).failure.reason == "SourceNotFound"
    away = Bench("127.0.0.1:9", bench.folder).run("assess", model=gone, data={})
    assert (away.code, away.failure.reason) == (20, "SourceUnavailable")
