"""python -m edgeramp_harness VERB --spec FILE; also fetch and push. See docs: the Job contract."""

from __future__ import annotations

import sys

from edgeramp_harness.main import main

sys.exit(main(sys.argv[1:]))
