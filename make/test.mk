# The two commands of the README, and the parts that `make test` is made of.
.PHONY: demo test test-fast test-e2e test-long bench-path bench-rest bench-decisions bench-gates

demo:  ## the whole story on a real cluster: optimized, certified, ramped; then a bad revision rolled back
	$(DEV_PYTHON) -m demo

test: check site test-fast test-e2e  ## everything that CI runs

# Tests that load ONNX Runtime, OpenVINO or OpenBLAS have a process of their own: native libraries crash for all.
FRAMEWORKS := tests/unit/harness tests/unit/serving tests/unit/examples
test-fast:  ## unit, property, golden, and the contracts against a real API server
	$(CLUSTER) tools
	$(DEV_PYTHON) -X faulthandler -m pytest $(FRAMEWORKS) -m 'not cluster and not long'
	$(DEV_PYTHON) -X faulthandler -m pytest tests/unit tests/golden tests/property $(FRAMEWORKS:%=--ignore=%) -m 'not cluster and not long'
	$(DEV_PYTHON) -X faulthandler -m pytest tests/contract -m 'not cluster and not long'

test-e2e:  ## the demo and bad input on the cluster, which is stopped afterwards (KEEP=1 leaves it up)
	trap '[ -n "$${KEEP:-}" ] || $(CLUSTER) down' EXIT; $(DEV_PYTHON) -m pytest tests/e2e --capture=sys -p no:randomly -m 'cluster and not long' --durations=10

test-long:  ## what takes too long for every push; needs the cluster
	$(DEV_PYTHON) -m pytest tests -m long

bench-path:  ## control-plane time, detection times, certified against bare speed-up; needs the cluster, after make demo
	$(DEV_PYTHON) -m bench.path

bench-rest:  ## a thousand Rollouts at rest on a real API server: memory, requests, start-up, lag
	$(CLUSTER) tools
	$(DEV_PYTHON) -m bench.rest

RAMPS ?= 1000
bench-decisions:  ## false rollbacks and detection times by simulation, ours and other people's rules (RAMPS=1000: an hour)
	$(DEV_PYTHON) -m bench.decisions --ramps $(RAMPS)

TRIALS ?= 2000
bench-gates:  ## coverage and power of the gates' bounds by simulation, beside the usual ones (TRIALS=2000: a quarter of an hour)
	$(DEV_PYTHON) -m bench.gates --trials $(TRIALS)
