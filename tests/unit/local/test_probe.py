"""Node labels come from the machine, under NFD's names."""

from __future__ import annotations

import re

import pytest
from local.edgeramp_local import probe
from local.edgeramp_local.config import NODES

INTEL = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse sse2 avx avx2 fma avx512f avx512_vnni avx_vnni amx_int8 amx_tile amx_bf16 nonsense

processor\t: 1
vendor_id\t: GenuineIntel
flags\t\t: avx512_fp16
"""
AMD = "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nflags\t\t: avx2 fma sse4a\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd aes crc32 atomics asimddp sve\nCPU implementer\t: 0x41\n"
CPUID = probe.PREFIX + "cpu-cpuid."


def features(text: str) -> set[str]:
    labels = probe.machine_labels(text, "6.1.0-13-amd64")
    return {name.removeprefix(CPUID) for name in labels if name.startswith(CPUID)}


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (INTEL, {"AVX", "AVX2", "FMA3", "AVX512F", "AVX512VNNI", "AVXVNNI", "AMXINT8", "AMXTILE", "AMXBF16"}),
        (AMD, {"AVX2", "FMA3", "SSE4A"}),
        (ARM, {"FP", "ASIMD", "AESARM", "CRC32", "ATOMICS", "ASIMDDP", "SVE"}),
        ("", set()),
    ],
    ids=["intel: the first processor's flags count", "amd", "arm", "nothing known"],
)
def test_features_have_the_names_that_node_feature_discovery_gives_them(
    cpuinfo: str, expected: set[str]
) -> None:
    assert features(cpuinfo) == expected


def test_the_cpu_model_is_told_where_the_kernel_tells_it() -> None:
    labels = probe.machine_labels(INTEL, "6.1.0")
    told = {name.removeprefix(probe.PREFIX): value for name, value in labels.items() if "cpu-model" in name}
    assert told == {"cpu-model.vendor_id": "Intel", "cpu-model.family": "6", "cpu-model.id": "143"}
    assert not [name for name in probe.machine_labels(ARM, "6.1.0") if "cpu-model" in name]


def test_one_node_withholds_what_makes_int8_fast_and_the_others_do_not() -> None:
    machine = probe.machine_labels(INTEL, "6.1.0")
    has = {node.hardware_class: CPUID + "AVX512VNNI" in probe.node_labels(node, machine) for node in NODES}
    assert has == {"edge-server": True, "edge-box": False, "gateway": True}
    box = next(node for node in NODES if node.hardware_class == "edge-box")
    kept = {name.removeprefix(CPUID) for name in probe.node_labels(box, machine) if name.startswith(CPUID)}
    assert kept == {"AVX", "AVX2", "FMA3", "AVX512F"}


def test_all_nodes_say_that_they_share_one_measurement_host() -> None:
    hosts = {probe.node_labels(node, {})["edgeramp.dev/measurement-host"] for node in NODES}
    assert hosts == {"local"}


@pytest.mark.parametrize("kernel", ["6.18.44-fc-v769", "5.15.0-1+deb11u1~bpo", "6"])
def test_every_label_of_this_machine_is_one_that_kubernetes_accepts(kernel: str) -> None:
    for node in NODES:
        text = INTEL + AMD
        for name, value in probe.node_labels(node, probe.machine_labels(text, kernel)).items():
            prefix, _, rest = name.partition("/")
            assert re.fullmatch(r"[a-z0-9.-]{1,253}", prefix)
            assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", rest)
            assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", value)


def test_this_machine_can_be_probed() -> None:
    assert probe.this_machine()[probe.PREFIX + "kernel-version.major"].isdigit()
