"""llama.cpp in the harness: quantized, measured and certified in the same report as any other framework."""

from __future__ import annotations

import builtins
import hashlib
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.support import untrained

from edgeramp.api.common import Gates
from edgeramp.decide import gates
from edgeramp.values.verdict import Verdict
from edgeramp_harness import data, text
from edgeramp_harness.errors import JobError

from .conftest import Bench
from .test_verbs import FAST, ref, runner

LENGTH, TEXTS = 33, 40


# The arithmetic, without llama.cpp


class Uniform:
    """Every token is equally likely, except that `favourite` has `boost` more logits."""

    vocabulary = 8

    def __init__(self, boost: float = 0.0, favourite: int = 0) -> None:
        self._logits = np.zeros(self.vocabulary, np.float32)
        self._logits[favourite] = boost

    def token_logits(self, row: Any) -> Any:
        for start in range(0, len(row), 3):  # in pieces, as llama.cpp gives them
            yield np.tile(self._logits, (len(row[start : start + 3]), 1))


def texts(count: int = 20, length: int = 8, vocabulary: int = 8, seed: int = 0) -> data.Split:
    tokens = np.random.default_rng(seed).integers(0, vocabulary, (count, length)).astype(np.int32)
    return data.Split(
        np.zeros(count, np.int64), np.array([f"id{i}" for i in range(count)]), {"tokens": tokens}
    )


def compared(folder: Path, reference: Any, candidate: Any, allowed: float = 1.05) -> Any:
    split = texts()
    scores = [
        text.score(session, split, folder / f"{side}.npy")
        for side, session in (("reference", reference), ("candidate", candidate))
    ]
    return text.assess(scores[0], scores[1], folder, split, 1 / allowed, 0.95, seed=1)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(tmp_path: Path) -> None:
    scores = text.score(Uniform(), texts(), tmp_path / "reference.npy")
    assert np.exp(scores) == pytest.approx(Uniform.vocabulary)


def test_a_model_against_itself_has_ratio_one_and_no_divergence(tmp_path: Path) -> None:
    quality = compared(tmp_path, Uniform(1.0), Uniform(1.0))
    assert (quality.text.perplexity_ratio, quality.text.ratio_lower, quality.text.ratio_upper) == (1, 1, 1)
    assert (quality.text.kl_divergence, quality.text.same_top) == (0, 1)
    assert quality.text.positions == quality.text.tokens == 20 * 7
    assert quality.margin_lower == pytest.approx(math.log(1.05), rel=1e-4)


def test_the_divergence_is_that_of_the_two_distributions(tmp_path: Path) -> None:
    p, q = (np.exp(text.log_softmax(np.array([[boost] + [0.0] * 7]))[0]) for boost in (2.0, 1.0))
    quality = compared(tmp_path, Uniform(2.0), Uniform(1.0))
    assert quality.text.kl_divergence == pytest.approx(float((p * np.log(p / q)).sum()), rel=1e-4)
    assert compared(tmp_path, Uniform(2.0), Uniform(2.0, favourite=1)).text.same_top == 0


def test_the_ratio_is_that_of_the_two_perplexities_within_its_bounds(tmp_path: Path) -> None:
    quality = compared(tmp_path, Uniform(), Uniform(1.0))
    told = quality.text
    assert told.perplexity_ratio == pytest.approx(
        told.perplexity_candidate / told.perplexity_reference, rel=1e-4
    )
    assert told.ratio_lower < told.perplexity_ratio < told.ratio_upper


def test_more_positions_than_fit_are_thinned_evenly_to_the_same_ones() -> None:
    kept = text.kept_positions(1_000_000, 128_000)
    assert len(kept) == text.KEPT_BYTES // (4 * 128_000)
    assert kept[0] == 0 and kept[-1] == 999_999 and len(set(kept)) == len(kept)


def test_a_model_whose_logits_are_not_finite_is_a_bad_output(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        text.score(Uniform(math.nan), texts(), tmp_path / "reference.npy")
    assert (caught.value.code, caught.value.reason) == (16, "NotFinite")


def test_perplexity_of_a_model_that_writes_no_text_is_a_bad_spec(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        text.score(SimpleNamespace(), texts(), tmp_path / "reference.npy")
    assert caught.value.code == 10


@pytest.mark.parametrize(
    ("boost", "allowed", "verdict"),
    [(0.0, "1.05", Verdict.PASS), (0.02, None, Verdict.PASS), (3.0, None, Verdict.FAIL), (0.5, "1.01", Verdict.INCONCLUSIVE)],
)  # fmt: skip
def test_the_gate_judges_the_bounds_of_the_ratio(
    tmp_path: Path, boost: float, allowed: str | None, verdict: Verdict
) -> None:
    declared = Gates(perplexity_ratio=allowed)
    required = gates.quality_kept("perplexity", declared)
    quality = compared(tmp_path, Uniform(), Uniform(boost), allowed=1 / required)
    found = gates.quality(quality, declared)
    assert (found.gate, found.verdict) == ("perplexityRatio", verdict), (found, quality)
    by_margin = (
        Verdict.PASS if quality.margin_lower > 0
        else Verdict.FAIL if quality.margin_upper < 0
        else Verdict.INCONCLUSIVE
    )  # fmt: skip
    assert by_margin is verdict


# The real thing


@pytest.fixture(scope="module")
def llama() -> Any:
    """llama-cpp-python is in images/llama-cpp alone: it is built from source for minutes."""
    return pytest.importorskip(
        "llama_cpp", reason="llama-cpp-python is not installed: it is in images/llama-cpp"
    )


@pytest.fixture(scope="module")
def model(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> str:
    return bench.push("untrained", untrained.write(tmp_path_factory.mktemp("untrained") / "model.gguf"))


def sentences(first: int, count: int) -> dict[str, Any]:
    """Windows of the documentation that Python itself carries, one token per byte."""
    words = "".join(getattr(builtins, name).__doc__ or "" for name in sorted(dir(builtins)))
    stream = untrained.tokens(words)
    rows = [stream[i * LENGTH : (i + 1) * LENGTH] for i in range(first, first + count)]
    tokens = np.array(rows, np.int32)
    ids = [hashlib.sha256(row.tobytes()).hexdigest() for row in tokens]
    return {"y": np.zeros(count, np.int64), "id": np.array(ids), "x.tokens": tokens}


@pytest.fixture(scope="module")
def split(bench: Bench) -> str:
    return bench.split("texts", sentences(0, TEXTS))


def prepared(bench: Bench, model: str, split: str, name: str | None) -> Any:
    which = {
        "id": name or "f32", "framework": "llama.cpp", "technique": "gguf" if name else "fp32",
        "precision": "int4" if name else "f32", "params": {"type": name} if name else {},
    }  # fmt: skip
    return bench.run("prepare", candidate=which, model=ref(model, "gguf"), calibration=ref(split))


def test_a_gguf_is_assessed_without_llama_cpp(bench: Bench, model: str, split: str) -> None:
    result = bench.run("assess", model=ref(model, "gguf"), data={"calibration": ref(split)})
    assert result.code == 0, result.log
    found = result.summary.assessment
    assert (found.architecture, found.model_type, found.quantization) == (
        "transformer-decoder",
        "llama",
        "F32",
    )
    assert found.quantizable_operators > 0


def test_a_gguf_is_not_given_to_another_framework(bench: Bench, model: str, split: str) -> None:
    which = {"id": "x", "framework": "onnxruntime", "technique": "fp32", "precision": "f32"}
    result = bench.run("prepare", candidate=which, model=ref(model, "gguf"), calibration=ref(split))
    assert result.failure.code == 12 and "gguf" in result.failure.message


@pytest.mark.parametrize("name", ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS"])
def test_every_type_is_made_loads_and_is_smaller(
    llama: Any, bench: Bench, model: str, split: str, name: str
) -> None:
    original = prepared(bench, model, split, None).summary
    result = prepared(bench, model, split, name)
    assert result.code == 0, result.log
    made = result.summary
    assert (made.format, made.operators_reverted, made.warnings) == ("gguf", 0, [])
    assert made.size_bytes < original.size_bytes / 2
    assert prepared(bench, model, split, name).summary.artifact == made.artifact, "not reproducible"


def test_an_unknown_type_is_a_bad_spec_that_names_the_known_ones(
    llama: Any, bench: Bench, model: str, split: str
) -> None:
    failure = prepared(bench, model, split, "Q1").failure
    assert failure.code == 10 and "Q4_K_M" in failure.message


def test_measured_and_certified_in_the_common_form_and_judged_by_the_common_gates(
    llama: Any, bench: Bench, model: str, split: str
) -> None:
    original = prepared(bench, model, split, None).summary.artifact
    small = prepared(bench, model, split, "Q8_0").summary.artifact
    sides = {
        "reference": runner("gguf-f32", "llama.cpp", "f32", original, "gguf"),
        "candidate": runner("gguf-q8-0", "llama.cpp", "int8", small, "gguf"),
    }
    kept = gates.quality_kept("perplexity", Gates())
    result = bench.run(
        "measure", **sides, data=ref(split), metric="perplexity", retention=kept, benchmark=FAST
    )
    assert result.code == 0, result.log
    found = result.summary
    told = found.quality.text
    assert (
        0.99 < told.perplexity_ratio < 1.01 and told.ratio_lower <= told.perplexity_ratio <= told.ratio_upper
    )
    assert 0 < told.kl_divergence < 0.01 and told.same_top > 0.9
    assert told.tokens == TEXTS * (LENGTH - 1)
    speeds = found.generation
    assert speeds.prompt_tokens == LENGTH and speeds.decode_per_second > 0 and speeds.first_token_ms > 0
    assert speeds.prompt_per_second > speeds.decode_per_second_reference / 10
    assert [g.gate for g in gates.judge(found, Gates())] == [
        "perplexityRatio", "speedup", "memoryReduction", "latencyVariation",
    ]  # fmt: skip
    assert gates.judge(found, Gates())[0].verdict is Verdict.PASS
    certified = bench.run(
        "certify", **sides, data=ref(split), metric="perplexity", retention=kept, alpha=0.025
    )
    assert certified.summary.quality.text.ratio_upper >= told.ratio_upper
    assert certified.summary.quality.margin_lower > 0


def test_other_weights_fail_the_gate(
    llama: Any, bench: Bench, model: str, split: str, tmp_path: Path
) -> None:
    """A model that answers something else is told from its original, whatever its perplexity."""
    other = bench.push("other", untrained.write(tmp_path / "model.gguf", seed=1))
    sides = {
        "reference": runner("gguf-f32", "llama.cpp", "f32", model, "gguf"),
        "candidate": runner("other", "llama.cpp", "f32", other, "gguf"),
    }
    result = bench.run("certify", **sides, data=ref(split), metric="perplexity", retention=0.95, alpha=0.05)
    assert result.code == 0, result.log
    assert result.summary.quality.text.same_top < 0.5
    assert result.summary.quality.text.kl_divergence > 0.1


def test_a_text_that_does_not_fit_the_context_is_told_with_both_lengths(
    llama: Any, bench: Bench, model: str
) -> None:
    length = untrained.TRAINED_CONTEXT + 1
    arrays = {
        "y": np.zeros(1, np.int64), "id": np.array(["a"]), "x.tokens": np.full((1, length), 70, np.int32),
    }  # fmt: skip
    long = bench.split("long", arrays)
    failure = prepared(bench, model, long, None).failure
    assert failure.code == 16
    assert (
        f"a text of {length} tokens does not fit the context of {untrained.TRAINED_CONTEXT}"
        in failure.message
    )
