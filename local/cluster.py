#!/usr/bin/env python3
"""The local cluster's command line; see local/README.md."""

import sys

from edgeramp_local.cli import main

sys.exit(main())
