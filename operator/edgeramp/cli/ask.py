"""edgeramp promote, promote-full, abort, rollback, retry, pause, resume: orders to a Rollout.

They are annotations that the operator obeys. An order names the revision and step that it was meant for, so that a second
click or a stale screen moves nothing. The answer of the operator is waited for and printed. pause and resume write
spec.paused.

    edgeramp promote digits-vnni -n shop                      leave the present step
    edgeramp promote digits-vnni --revision 0eda8adb7a --step 2   only if it is still there
    edgeramp abort digits-vnni                                all requests to stable, now
    edgeramp rollback digits-vnni                             to what served before, without steps
    edgeramp pause digits-vnni                                nothing grows until resume

Exit code 0 when done, 3 when refused, 4 when the operator did not answer in time, 1 when it could not be asked.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgeramp.cli import reach, screen
from edgeramp.decide.rollout.choose import GOOD
from edgeramp.effects.cluster import Cluster, Object
from edgeramp.effects.kinds import ROLLOUT, Ref
from edgeramp.values.errors import ClusterError, Conflict, SpecError
from edgeramp.values.names import GROUP
from edgeramp.values.quantities import duration, seconds

ORDERS = {
    "promote": "Leave the present step of a Rollout's ramp.",
    "promote-full": "Give the candidate all requests, without further analysis.",
    "abort": "Give all requests back to stable, now.",
    "rollback": "Serve an earlier revision in place of what the spec says, until the spec changes.",
    "retry": "Begin an aborted or rolled-back ramp again, from the start.",
    "pause": "Freeze a ramp: nothing grows and deadlines stand still.",
    "resume": "Let a paused ramp go on.",
}
"""Every command of this module, with what it does."""
REFUSED, UNANSWERED = 3, 4
POLL_SECONDS = 0.5
_ATTEMPTS = 5


class Answer(screen.Shape):
    """What came of an order. `accepted` is None where nobody answered in time or nobody was waited for."""

    verb: str
    namespace: str
    name: str
    value: str
    accepted: bool | None
    message: str


def main(verb: str, argv: Sequence[str], sleep: Callable[[float], None] = time.sleep) -> int:
    """See the module."""
    args = _parser(verb).parse_args(list(argv))
    try:
        rollout = Ref(*ROLLOUT, reach.namespace(args), args.name)
        patience = 0.0 if args.no_wait else seconds(args.timeout)
        cluster = reach.connect(args, writes=True)
        if verb in ("pause", "resume"):
            answer = set_paused(cluster, rollout, verb)
        else:
            answer = order(cluster, rollout, verb, _meant(verb, args), patience, sleep)
    except (ClusterError, SpecError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = screen.as_json(answer.wire()) if args.output == "json" else f"{answer.message}\n"
    (sys.stdout if answer.accepted is not False or args.output == "json" else sys.stderr).write(told)
    if answer.accepted is None:
        return 0 if args.no_wait else UNANSWERED
    return 0 if answer.accepted else REFUSED


def order(
    cluster: Cluster,
    rollout: Ref,
    verb: str,
    meant: Callable[[Object], str],
    patience: float,
    sleep: Callable[[float], None],
) -> Answer:
    """Annotate with what is `meant` for the object as it is, and wait up to `patience` seconds for the operator's record.
    SpecError where there is nothing to order."""
    for _ in range(_ATTEMPTS):
        seen = _get(cluster, rollout)
        value = meant(seen)
        pending = (seen["metadata"].get("annotations") or {}).get(f"{GROUP}/{verb}")
        if pending is not None and pending != value:
            raise SpecError(
                f"{GROUP}/{verb}", f"{pending} was asked for and is not answered yet; look again soon"
            )
        body = {
            "metadata": {
                "annotations": {f"{GROUP}/{verb}": value},
                "resourceVersion": seen["metadata"]["resourceVersion"],
            }
        }
        try:
            if cluster.patch(rollout, body) is None:
                raise SpecError("NAME", f"{rollout} is gone")
        except Conflict:
            continue  # its status changed meanwhile: what is asked for is thought over again
        return _answer(cluster, rollout, verb, value, _records(seen), patience, sleep)
    raise Conflict(f"{rollout} changes all the time; try again")


def set_paused(cluster: Cluster, rollout: Ref, verb: str) -> Answer:
    """Write spec.paused, and say what that means now."""
    paused = verb == "pause"
    before = _get(cluster, rollout)
    if bool(before["spec"].get("paused")) == paused:
        message = f"{rollout} {'is paused already' if paused else 'is not paused'}; nothing was changed."
        return _said(rollout, verb, str(paused).lower(), True, message)
    if cluster.patch(rollout, {"spec": {"paused": paused}}) is None:
        raise SpecError("NAME", f"{rollout} is gone")
    status = before.get("status") or {}
    at = f" at {status['weight']} %" if status.get("ramp") and status.get("weight") is not None else ""
    message = f"{rollout} {'paused' if paused else 'goes on'}{at}."
    manifest = _applied_by(before)
    if manifest:
        message += f" {manifest} applies this object: write spec.paused there as well, or it is taken back."
    return _said(rollout, verb, str(paused).lower(), True, message)


def _get(cluster: Cluster, rollout: Ref) -> Object:
    found = cluster.get(rollout)
    if found is None:
        raise SpecError("NAME", f"there is no {rollout}")
    return found


def _meant(verb: str, args: argparse.Namespace) -> Callable[[Object], str]:
    if verb == "rollback":
        return lambda seen: args.to or _before(seen)
    return lambda seen: _value(seen, args.revision, args.step)


def _before(seen: Mapping[str, Any]) -> str:
    """Where a rollback leads that names nothing: out of a ramp to stable, else to the one promoted last before stable."""
    status = seen.get("status") or {}
    stable = str((status.get("stable") or {}).get("revision", ""))
    if status.get("ramp") and stable:
        return stable
    ended = [h for h in reversed(status.get("history") or []) if h["outcome"] != "Superseded"]
    last = {h["revision"]: h["outcome"] for h in reversed(ended)}
    found = next(
        (h["revision"] for h in ended if h["revision"] != stable and last[h["revision"]] in GOOD), None
    )
    if found is None:
        raise SpecError(
            "NAME", "has no earlier revision that was promoted; status.history has all there were"
        )
    return str(found)


def _value(seen: Mapping[str, Any], revision: str | None, step: int | None) -> str:
    """`revision/step`: of the screen that the user looked at where it is named, else of now."""
    status = seen.get("status") or {}
    ramp = status.get("ramp") or {}
    now = str(ramp.get("revision", ""))
    if not (revision or now):
        raise SpecError("NAME", f"has no candidate: {status.get('message') or 'no ramp is running'}")
    if step is not None:
        return f"{revision or now}/{step}"
    if revision and revision != now:
        return revision
    return f"{now}/{int(ramp.get('step', 0)) + 1}"


def _records(seen: Mapping[str, Any]) -> list[Any]:
    return list((seen.get("status") or {}).get("verbs") or [])


def _answer(
    cluster: Cluster,
    rollout: Ref,
    verb: str,
    value: str,
    before: list[Any],
    patience: float,
    sleep: Callable[[float], None],
) -> Answer:
    waited = 0.0
    while waited < patience:
        sleep(POLL_SECONDS)
        waited += POLL_SECONDS
        seen = _get(cluster, rollout)
        if f"{GROUP}/{verb}" in (seen["metadata"].get("annotations") or {}):
            continue
        fresh = [r for r in _records(seen) if r not in before and (r["verb"], r["value"]) == (verb, value)]
        if not fresh:  # the operator clears without a word what was done before
            return _said(rollout, verb, value, True, f"{verb} {value} was done already.")
        status = seen.get("status") or {}
        message = str(fresh[-1]["message"])
        if fresh[-1]["accepted"]:
            message = f"{rollout}: {message}. {status.get('message', '')}".rstrip()
        return _said(rollout, verb, value, bool(fresh[-1]["accepted"]), message)
    if patience == 0:
        return _said(
            rollout,
            verb,
            value,
            None,
            f"{verb} {value} asked of {rollout}; status.verbs will say what came of it.",
        )
    return _said(
        rollout, verb, value, None,
        f"{verb} {value} was asked of {rollout}, and the operator did not answer in {duration(patience)}: is it running?"
        f" The order stands until it does; kubectl annotate {rollout.kind.lower()} {rollout.name} {GROUP}/{verb}- takes it back.",
    )  # fmt: skip


def _said(rollout: Ref, verb: str, value: str, accepted: bool | None, message: str) -> Answer:
    return Answer(
        verb=verb,
        namespace=rollout.namespace,
        name=rollout.name,
        value=value,
        accepted=accepted,
        message=message,
    )


def _applied_by(rollout: Mapping[str, Any]) -> str:
    """Who else writes spec.paused from a manifest; "" when nobody does."""
    for entry in rollout["metadata"].get("managedFields") or []:
        owns = "f:paused" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        if owns and (
            entry.get("operation") == "Apply" or entry.get("manager") == "kubectl-client-side-apply"
        ):
            return str(entry.get("manager"))
    return ""


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"edgeramp {verb}",
        description=ORDERS[verb],
        epilog=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="of the Rollout")
    if verb == "rollback":
        parser.add_argument("--to", metavar="REVISION", help="of status.history; default: what served before")
    elif verb not in ("pause", "resume"):
        parser.add_argument("--revision", help="only if this is the candidate; default: the candidate of now")
        parser.add_argument(
            "--step", type=int, help="only if the ramp is at this step, counted from 1 as status.step is"
        )
    if verb not in ("pause", "resume"):
        parser.add_argument(
            "--timeout", default="30s", help="how long to wait for the operator's answer (30s)"
        )
        parser.add_argument("--no-wait", action="store_true", help="do not wait for it")
    else:
        parser.set_defaults(timeout="0s", no_wait=True)
    reach.add_options(parser)
    return parser
