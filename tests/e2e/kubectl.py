"""kubectl as a user has it: every step of these tests is a command that somebody could type.

Waiting is `kubectl wait`, which watches; nothing here sleeps."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Kubectl:
    """`command` is kubectl for the right cluster; `namespace` for everything that has one."""

    command: tuple[str, ...]
    namespace: str

    def run(self, *words: str, stdin: str | None = None, timeout: float = 120) -> Answer:
        command = [*self.command, f"--namespace={self.namespace}", *words]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def must(self, *words: str, stdin: str | None = None, timeout: float = 120) -> str:
        answer = self.run(*words, stdin=stdin, timeout=timeout)
        assert answer.code == 0, f"kubectl {' '.join(words)} failed:\n{answer.err}{answer.out}"
        return answer.out

    def apply(self, *manifests: Mapping[str, Any]) -> str:
        return self.must("apply", "-f", "-", stdin=yaml.safe_dump_all([dict(m) for m in manifests]))

    def try_apply(self, text: str) -> Answer:
        return self.run("apply", "-f", "-", stdin=text)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return dict(json.loads(self.must("get", kind, name, "-o", "json")))

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        words = ("get", kind, "-o", "json", *(("-l", selector) if selector else ()))
        return list(json.loads(self.must(*words))["items"])

    def wait(self, kind: str, name: str, condition: str, seconds: int) -> None:
        """Wait for `condition` (condition=Ready, jsonpath={.a}=b, delete); on a timeout show the object and its events."""
        answer = self.run(
            "wait", f"{kind}/{name}", f"--for={condition}", f"--timeout={seconds}s", timeout=seconds + 30
        )
        if answer.code:
            shown = self.run("describe", kind, name)
            raise AssertionError(
                f"{kind}/{name} never got {condition} in {seconds}s\n{answer.err}\n{shown.out[-6000:]}"
            )

    def watch(self, kind: str, name: str, path: str, ends: Collection[str], seconds: int) -> str:
        """Watch the value at jsonpath `path` until it is one of `ends`, and return it."""
        words = (
            "get",
            kind,
            name,
            "--watch",
            f"--request-timeout={seconds}s",
            "-o",
            f"jsonpath={{{path}}}{{'\\n'}}",
        )
        command = [*self.command, f"--namespace={self.namespace}", *words]
        seen: list[str] = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout
            for line in watching.stdout:
                seen.append(line.strip())
                if seen[-1] in ends:
                    watching.terminate()
                    return seen[-1]
        raise AssertionError(
            f"{kind}/{name}: {path} was never one of {sorted(ends)} in {seconds}s, but {seen}"
        )
