"""Every .cu file compiles for the GPUs that it is meant for, and their registers suffice.

That takes half a minute and more. What came out is kept in pytest's cache, so that only another
source, flag or nvcc is compiled (`pytest --cache-clear` forgets it).
"""

import hashlib
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.kernels.build import SOURCES, cuda_recipe

pytestmark = pytest.mark.timeout(900)  # compilers take what a busy machine gives them
CAPABILITIES = (80, 86, 89, 90, 120)
MOST_REGISTERS = 255  # a thread's: what there is for two blocks of 128 on a multiprocessor
MOST_SPILLED = 16  # bytes, stored and loaded: outside of the products
_ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)")
_SPILL = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_KEPT = "rwkv_music/kernels_of_nvcc"


@pytest.fixture(scope="module")
def figures(request, tmp_path_factory):
    """(kernel, capability, registers, stack, spilled bytes) of every kernel that nvcc makes."""
    nvcc = shutil.which("nvcc")
    if not nvcc:
        pytest.skip("no nvcc: the CUDA toolkit is not installed")
    flags = cuda_recipe(CAPABILITIES).nvcc_flags
    version = subprocess.run([nvcc, "--version"], capture_output=True, check=True).stdout
    made_of = hashlib.sha256(version + repr(flags).encode())
    for path in sorted([*SOURCES.glob("*.cu"), *SOURCES.glob("*.h")]):
        made_of.update(path.name.encode() + path.read_bytes())
    kept = request.config.cache.get(_KEPT, {})
    if kept.get("made_of") == made_of.hexdigest():
        return [tuple(row) for row in kept["figures"]]
    found = read(compile_all(nvcc, flags, tmp_path_factory.mktemp("cuda")))
    request.config.cache.set(_KEPT, {"made_of": made_of.hexdigest(), "figures": found})
    return found


def compile_all(nvcc, flags, folder):
    """What the compiler tells of all .cu files."""
    files = sorted(SOURCES.glob("*.cu"))
    assert files

    def compiled(path):
        command = [nvcc, "-c", *flags, "-Xptxas=-v", "--threads=2", str(path)]
        done = subprocess.run(
            [*command, "-o", str(folder / f"{path.stem}.o")], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    with ThreadPoolExecutor(1 if (os.cpu_count() or 1) < 4 else len(files)) as pool:
        return "\n".join(pool.map(compiled, files))


def read(reports):
    found, entry, spill = [], None, None
    for line in reports.splitlines():
        if match := _ENTRY.search(line):
            entry = match.groups()
        elif match := _SPILL.search(line):
            spill = tuple(map(int, match.groups()))
        elif (match := _USED.search(line)) and entry and spill:
            found.append((entry[0], int(entry[1]), int(match[1]), spill[0], spill[1] + spill[2]))
            entry = spill = None
    return found


def test_every_kernel_is_made_for_every_gpu(figures):
    made = {(kernel, capability) for kernel, capability, *_ in figures}
    kernels = {kernel for kernel, _ in made}
    assert len(kernels) >= 2 * 2 * 2  # forward and backward, two dtypes, two heights
    assert made == {(kernel, capability) for kernel in kernels for capability in CAPABILITIES}


def test_registers_suffice(figures, capsys):
    with capsys.disabled():
        print()
        for kernel, capability, registers, stack, spilled in sorted(figures):
            print(
                f"  sm_{capability:<4}{registers:4} registers {stack:4} stack {spilled:4} spilled"
                f"  {kernel}"
            )
    assert all(registers <= MOST_REGISTERS for _, _, registers, _, _ in figures)
    assert [row for row in figures if row[4] > MOST_SPILLED] == []
