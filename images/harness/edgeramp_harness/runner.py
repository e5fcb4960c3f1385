"""A runner: one fresh process, one artifact, one framework. Reads one JSON command per line from stdin, answers on fd.

It only measures itself; which blocks are run, and when, is the parent's business (runner_process.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgeramp.report.exit_codes import ExitCode
from edgeramp_harness import cgroups, data, runtimes, scoring, text
from edgeramp_harness.errors import JobError

_FEEDS = 16
_KEPT = 256


class Runner:
    """The commands, as methods that take and return what JSON can carry."""

    def __init__(self) -> None:
        self.session: runtimes.Session | None = None
        self.split: data.Split | None = None
        self.feeds: list[dict[str, Any]] = []

    def start(self, framework: str, split: str) -> dict[str, Any]:
        """Data and framework before `load`: the growth of memory is then the model's own. Two runners may start at once."""
        self.split = data.load(Path(split))
        runtimes.import_framework(framework)
        return {}

    def load(
        self, framework: str, precision: str, model: str, threads: int, batch: int, cpus: list[int]
    ) -> dict[str, Any]:
        """The artifact, on the CPUs where it will be timed."""
        assert self.split is not None
        if cpus:
            os.sched_setaffinity(0, cpus)
        before = _settled_memory()
        try:
            self.session = runtimes.load(framework, Path(model), precision, threads)
        except runtimes.LoadError as error:
            raise JobError(ExitCode.BAD_OUTPUT, str(error), "NotLoadable") from error
        except runtimes.PrecisionError as error:
            raise JobError(ExitCode.HARDWARE_MISMATCH, str(error)) from error
        self._cast()
        last = max(1, min(_FEEDS, self.split.items // batch))
        self.feeds = [self.split.feeds(i * batch, batch) for i in range(last)]
        for number, feed in enumerate(self.feeds):
            self._infer(feed, number * batch)
        return {
            "before": vars(before),
            "effective_precision": self.session.effective_precision,
            "version": self.session.version,
        }

    def warm(self, window: float, limit: float) -> dict[str, Any]:
        """Run until the medians of two successive windows agree within 3 %, or until `limit` seconds."""
        end = time.perf_counter() + limit
        last, windows, agreed = 0.0, 0, False
        while not agreed and time.perf_counter() < end:
            times = self._timed(seconds=window)
            median = float(np.median(times))
            agreed = windows > 0 and abs(median - last) <= 0.03 * last
            last, windows = median, windows + 1
        return {"median": last, "windows": windows, "agreed": agreed, "memory": vars(_settled_memory())}

    def block(self, runs: int) -> dict[str, Any]:
        """Median and sum of `runs` single inferences in seconds, and the times themselves, evenly thinned to 256."""
        times = self._timed(runs=runs)
        kept = times[:: -(-len(times) // _KEPT)]
        return {"median": float(np.median(times)), "total": sum(times), "times": kept}

    def check(self, items: int) -> dict[str, Any]:
        """Run the first items; exit 16 unless every output is finite."""
        assert self.split is not None
        for index in range(min(items, self.split.items)):
            self._infer(self.split.feeds(index), index)
        return {"items": min(items, self.split.items)}

    def score(self, metric: str, out: str) -> dict[str, Any]:
        """Score every item, one at a time as it is served; scores go to a .npy file, a classifier's answers to one beside it."""
        assert self.split is not None
        if metric == text.METRIC:
            scores = text.score(self.session, self.split, Path(out))
            np.save(out, scores)
            return {"mean": float(scores.mean()), "items": len(scores)}
        score = scoring.metric(metric)
        scores, answers = np.empty(self.split.items), np.empty(self.split.items, np.int64)
        for index in range(self.split.items):
            outputs = self._infer(self.split.feeds(index), index)
            scores[index] = score(outputs, self.split.labels[index : index + 1])[0]
            answers[index] = scoring.answers(outputs, 1)[0]
        np.save(out, scores)
        np.save(scoring.answers_file(Path(out)), answers)
        return {"mean": float(scores.mean()), "items": len(scores)}

    def generate(self) -> dict[str, Any]:
        """A language model's times for one prompt and what it writes after it; None for other models."""
        generate = getattr(self.session, "generate", None)
        return {"times": generate(self.feeds[0]) if generate else None}

    def _infer(self, feed: dict[str, Any], index: int) -> list[Any]:
        assert self.session is not None
        try:
            outputs = self.session.infer(feed)
        except Exception as error:  # frameworks raise what they like
            raise JobError(
                ExitCode.BAD_OUTPUT, f"inference failed on item {index}: {error}", "InferenceFailed"
            ) from error
        if not scoring.all_finite(outputs):
            raise JobError(ExitCode.BAD_OUTPUT, f"the output for item {index} is not finite", "NotFinite")
        return outputs

    def _timed(self, runs: int = 0, seconds: float = 0.0) -> list[float]:
        assert self.session is not None
        unit, feeds, clock = self.session.unit, self.feeds, time.perf_counter
        times: list[float] = []
        count, end = 0, clock() + seconds
        gc.disable()
        while count < runs or (not runs and (count < 3 or clock() < end)):
            feed = feeds[count % len(feeds)]
            start = clock()
            unit(feed)
            times.append(clock() - start)
            count += 1
        gc.enable()
        return times

    def _cast(self) -> None:
        """Input arrays in the model's types, once, outside the timer. Exit 17 when they do not fit."""
        assert self.session is not None and self.split is not None
        for port in self.session.inputs:
            array = self.split.inputs.get(port.name)
            if array is None:
                raise data.unusable(f"the data has no array x.{port.name}")
            if array.dtype != port.dtype:
                if not np.can_cast(array.dtype, port.dtype, "same_kind"):
                    raise data.unusable(f"x.{port.name} is {array.dtype}, the model takes {port.dtype}")
                self.split.inputs[port.name] = array.astype(port.dtype)
        for name in set(self.split.inputs) - {p.name for p in self.session.inputs}:
            del self.split.inputs[name]


def _settled_memory() -> cgroups.ProcessMemory:
    """After garbage and the allocator's free lists went back to the kernel."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
    return cgroups.process_memory()


def main(answers: int) -> None:
    """Serve commands until stdin closes."""
    runner = Runner()
    with os.fdopen(answers, "w") as out:
        for line in sys.stdin:
            command = json.loads(line)
            name = command.pop("do")
            try:
                reply = {"ok": getattr(runner, name)(**command)}
            except JobError as error:
                reply = {"error": {"code": int(error.code), "reason": error.reason, "message": error.message}}
            except Exception as error:  # a framework, in the middle of a block
                reply = {
                    "error": {
                        "code": 16,
                        "reason": "InferenceFailed",
                        "message": f"{type(error).__name__}: {error}",
                    }
                }
            out.write(json.dumps(reply) + "\n")
            out.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
