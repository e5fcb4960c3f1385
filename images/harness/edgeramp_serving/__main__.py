"""python -m edgeramp_serving: verify the artifact, load, warm, serve. Ends with a clear line and status 1 otherwise."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from edgeramp_harness.runtimes import LoadError, PrecisionError
from edgeramp_serving import artifact
from edgeramp_serving.engine import Engine
from edgeramp_serving.lean import leave_out_unused
from edgeramp_serving.metrics import Metrics
from edgeramp_serving.settings import Settings, SettingsError


def main() -> int:
    """The process's exit code."""
    started = time.monotonic()
    try:
        settings = Settings.from_environment(os.environ)
        files = artifact.verify(settings.model_dir, settings.artifact)
        metrics = Metrics(settings.artifact, settings.framework, settings.precision)
        serve, precision = _loaded(settings, metrics)
    except (SettingsError, artifact.ArtifactChanged, LoadError, PrecisionError) as error:
        return _refuse(str(error))
    except Exception as error:  # the warm-up: whatever a runtime raises on zeros
        return _refuse(f"the model does not run: {type(error).__name__}: {error}")
    loaded = time.monotonic() - started
    _say(
        f"{settings.model_name}: {files} files of {settings.artifact[:19]} verified, loaded and warmed in {loaded:.1f}s, "
        f"{settings.framework} {precision}, {settings.threads} threads"
    )
    sys.argv = sys.argv[:1]
    serve()
    _say("stopped")
    return 0


def _loaded(settings: Settings, metrics: Metrics) -> tuple[Callable[[], None], str]:
    """The model loaded and warmed: what serves it, and the precision that it really runs in."""
    if settings.framework == "llama.cpp":
        from edgeramp_serving import llama_server

        app = llama_server.load(settings)
        return lambda: llama_server.serve(settings, app, metrics), settings.precision
    engine = Engine(settings, metrics)
    engine.load()

    def serve() -> None:
        leave_out_unused()
        # kserve takes a second to import: only once the model is known to run
        from edgeramp_serving import server

        server.serve(settings, engine, metrics)

    return serve, engine.effective_precision


def _refuse(message: str) -> int:
    _say(f"not serving: {message}")
    try:
        with open("/dev/termination-log", "w") as stream:  # noqa: PTH123
            stream.write(message[:2000])
    except OSError:
        pass
    return 1


def _say(message: str) -> None:
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
