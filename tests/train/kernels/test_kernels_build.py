"""Compiling: what is missing is named, what was compiled is kept, and PyTorch stands in."""

import os
import subprocess
import sys
from unittest import mock

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.kernels import build  # noqa: E402
from rwkv_music_train.kernels.build import BuildError, Recipe, cuda_recipe  # noqa: E402


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path / "kernels")
    return tmp_path / "kernels"


def which_without(*missing):
    return lambda name, path=None: None if name in missing else f"/bin/{name}"


@pytest.mark.parametrize(
    ("tool", "told"),
    [("c++", "install g++"), ("ninja", "pip install ninja"), ("nvcc", "the CUDA toolkit")],
)
def test_what_is_missing_is_named(empty_cache, monkeypatch, tool, told):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(build.sys, "platform", "linux")
    monkeypatch.setattr(build.shutil, "which", which_without(tool))
    with pytest.raises(BuildError, match=told) as failure:
        build.load(cuda_recipe([90]))
    assert str(failure.value).count(";") == 0  # nothing else is


@pytest.mark.skipif(os.name == "nt", reason="the fakes are shell scripts")
def test_on_windows_visual_studio_is_found_by_itself(empty_cache, monkeypatch, windows):
    """An ordinary terminal will do: what compiles has the environment of vcvars64.bat."""
    seen = []
    monkeypatch.setattr(build.sys, "platform", "win32")
    monkeypatch.setattr(build, "_compile_and_load", lambda *_: seen.append(dict(os.environ)))
    monkeypatch.setattr(build.shutil, "which", which_without("cl"))
    with mock.patch.dict(os.environ, windows):
        os.environ.pop("CXX", None)
        build.load(build.recipe("cpu"))
    (environment,) = seen
    assert (environment["INCLUDE"], environment["LIB"]) == ("C:\\include", "C:\\lib")
    assert environment["PATH"].endswith("C:\\vc\\bin")  # the scripts, for ninja, come before


def test_on_windows_without_visual_studio_the_remedy_is_said(empty_cache, monkeypatch, tmp_path):
    monkeypatch.setattr(build.sys, "platform", "win32")
    monkeypatch.setattr(build.shutil, "which", which_without("cl"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("ProgramFiles(x86)", str(tmp_path))
    monkeypatch.setenv("ProgramFiles", str(tmp_path))
    with pytest.raises(BuildError, match="install the Build Tools for Visual Studio") as failure:
        build.load(build.recipe("cpu"))
    assert "ninja" not in str(failure.value)


def test_a_compiler_that_fails_is_quoted(empty_cache):
    if not build.shutil.which("ninja"):
        pytest.skip("no ninja")
    files = build.recipe("cpu").files
    with pytest.raises(BuildError, match="no-such-flag"):
        build.load(Recipe("wkv7_broken", files, ("--no-such-flag",)))
    assert list(empty_cache.iterdir()) == []


def test_an_old_gpu_is_refused():
    with pytest.raises(BuildError, match=r"compute capability 7\.5, expected 8\.0"):
        cuda_recipe([75, 90])
    with pytest.raises(BuildError, match="no NVIDIA GPU"):
        cuda_recipe([])


def test_the_binding_for_gpus_needs_no_header_of_cuda(tmp_path):
    compiler = os.environ.get("CXX") or build.shutil.which("c++")
    if not compiler:
        pytest.skip("no C++ compiler")
    include = f"{torch.__path__[0]}/include"
    source = str(build.SOURCES / "binding_cuda.cpp")
    command = [*compiler.split(), "-std=c++17", "-fsyntax-only", "-DUSE_CUDA", f"-I{include}"]
    done = subprocess.run([*command, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_was_compiled_is_loaded_again_and_not_compiled(empty_cache, monkeypatch):
    wanted = build.recipe("cpu")
    path = empty_cache / f"{wanted.name}-{build.fingerprint(wanted)}.so"
    empty_cache.mkdir()
    path.write_bytes(b"")
    loaded = []
    monkeypatch.setattr(build.sys, "platform", "linux")
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    build.load(wanted)
    assert loaded == [str(path)]


def test_every_flag_source_and_machine_has_a_library_of_its_own(monkeypatch, tmp_path):
    wanted = build.recipe("cpu")
    seen = {build.fingerprint(wanted), build.fingerprint(cuda_recipe([90]))}
    seen.add(build.fingerprint(cuda_recipe([80])))
    seen.add(build.fingerprint(Recipe(wanted.name, wanted.files, (*wanted.flags, "-g"))))
    monkeypatch.setattr(build, "_processor", lambda: "flags: another")
    seen.add(build.fingerprint(wanted))
    sources = tmp_path / "csrc"
    build.shutil.copytree(build.SOURCES, sources)
    (sources / "shape.h").write_text("// changed")
    monkeypatch.setattr(build, "SOURCES", sources)
    seen.add(build.fingerprint(wanted))
    assert len(seen) == 6


def test_kernels_include_no_header_of_torch():
    for path in build.SOURCES.iterdir():
        if not path.name.startswith("binding"):
            assert "torch/" not in path.read_text(encoding="utf-8"), path.name


_CALL = """
import torch
from rwkv_music_train.kernels import wkv7
from rwkv_music_train.kernels.build import absence
from rwkv_music_train.kernels.chunked import wkv7_chunked
x = [torch.randn(1, 20, 1, 64).clamp(-0.6, 0).requires_grad_() for _ in range(6)]
y, end = wkv7(*x)
z, other = wkv7_chunked(*x)
y.sum().backward()
print(torch.equal(y, z), torch.equal(end, other), x[0].grad is not None, absence("cpu"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cache does not follow XDG")
def test_without_a_compiler_pytorch_does_it_and_says_so(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "CXX": "no-such-compiler"}
    done = subprocess.run(
        [sys.executable, "-c", _CALL], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True True True wkv7_cpu cannot be compiled: no C++ compiler")
    assert done.stderr.count("plain PyTorch does it") == 1


@pytest.fixture
def asked_anew(monkeypatch):
    """Nothing is remembered of earlier questions, and nothing may be built."""
    monkeypatch.setattr(build, "_absence", build._absence.__wrapped__)
    monkeypatch.setattr(build, "load", lambda wanted: pytest.fail(f"builds {wanted}"))


def test_pytorch_can_be_asked_for(asked_anew, monkeypatch, caplog):
    monkeypatch.setenv(build.VARIABLE, "torch")
    assert build.absence("cpu") == "RWKV_MUSIC_KERNELS=torch"
    assert caplog.records == []


def test_another_wish_is_refused(asked_anew, monkeypatch):
    monkeypatch.setenv(build.VARIABLE, "triton")
    with pytest.raises(ValueError, match="got 'triton', expected torch or nothing"):
        build.absence("cpu")


def test_a_device_without_kernels_is_left_to_pytorch():
    assert build.absence("mps") == "there are no kernels for mps"
