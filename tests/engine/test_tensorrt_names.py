"""Every name of TensorRT that the code uses exists in TensorRT 11.4's own bindings, loaded over
empty libraries; and in TensorRT-RTX, where that is used.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = ["engine/runtime/plans.py", "engine/runtime/tensorrt.py"]
AHEAD = ["engine/runtime/plans.py", "export/tensorrt.py"]
LIBRARIES = ("libnvinfer.so.11", "libnvinfer_plugin.so.11", "libnvonnxparser.so.11")
ENTRIES = (
    "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry", "getNvOnnxParserVersion", "getPluginRegistry",
    "initLibNvInferPlugins",
)  # fmt: skip
DUMP = """
import ctypes, json, sys
for path in sys.argv[2:]: ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
import importlib
library = importlib.import_module(sys.argv[1])
names = {"": dir(library)} | {n: dir(getattr(library, n)) for n in dir(library)}
print(json.dumps(names | {"version": library.__version__}))
"""


class Names(ast.NodeVisitor):
    """Class -> its attributes that a source uses ("" for the module's own).

    `library` is the module wherever it stands; a variable is what its annotation `trt.NAME` says,
    within its function.
    """

    def __init__(self) -> None:
        self.used: defaultdict[str, set[str]] = defaultdict(set)
        self._types: list[dict[str, str]] = [{}]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._types.append(dict(self._types[-1]))
        for argument in [*node.args.args, *node.args.kwonlyargs]:
            self._annotate(argument.arg, argument.annotation)
        self.generic_visit(node)
        self._types.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._annotate(node.target.id, node.annotation)
        self.generic_visit(node)

    def _annotate(self, name: str, annotation: ast.expr | None) -> None:
        if (
            isinstance(annotation, ast.Attribute)
            and isinstance(annotation.value, ast.Name)
            and annotation.value.id == "trt"
        ):
            self.used[""].add(annotation.attr)
            self._types[-1][name] = annotation.attr

    def visit_Attribute(self, node: ast.Attribute) -> None:
        of = node.value
        if isinstance(of, ast.Name) and of.id == "library":
            self.used[""].add(node.attr)
        elif isinstance(of, ast.Name) and of.id in self._types[-1]:
            self.used[self._types[-1][of.id]].add(node.attr)
        elif (
            isinstance(of, ast.Attribute)
            and isinstance(of.value, ast.Name)
            and of.value.id == "library"
        ):
            self.used[of.attr].add(node.attr)
        self.generic_visit(node)


def used_names(sources: list[str]) -> dict[str, set[str]]:
    names = Names()
    for source in sources:
        names.visit(ast.parse((ROOT / source).read_text()))
    return names.used


def missing(used: dict[str, set[str]], offered: dict[str, list[str]]) -> list[str]:
    return [
        f"{kind}.{name}".strip(".")
        for kind, names in used.items()
        for name in names
        if name not in offered.get(kind, [])
    ]


def offered_by(library: str, *before: Path) -> dict[str, list[str]]:
    command = [sys.executable, "-c", DUMP, library, *map(str, before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_reader_finds_names() -> None:
    used = used_names(HERE)
    assert {"Builder", "OnnxParser", "Runtime", "TensorIOMode", "__version__"} <= used[""]
    assert {"execute_async_v3", "set_tensor_address", "set_input_shape"} <= used[
        "IExecutionContext"
    ]
    assert {"create_timing_cache", "set_timing_cache"} <= used["IBuilderConfig"]
    assert {"node_name", "desc"} <= used["ParserError"]
    assert "deserialize_cuda_engine" in used["Runtime"]
    assert used["TensorIOMode"] == {"INPUT", "OUTPUT"}


def test_every_name_exists_in_tensorrt_11_4(tmp_path: Path) -> None:
    if find_spec("tensorrt_bindings") is None or shutil.which("gcc") is None:
        pytest.skip("needs tensorrt-cu13-bindings and gcc")
    source = tmp_path / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in ENTRIES))
    for name in LIBRARIES:
        command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", str(source)]
        subprocess.run([*command, "-o", str(tmp_path / name)], check=True)
    offered = offered_by("tensorrt_bindings", *(tmp_path / name for name in LIBRARIES))
    assert offered["version"].startswith("11.4.")
    assert not missing(used_names(HERE), offered)
    assert missing({"BuilderFlag": {"FP16"}, "IExecutionContext": {"execute_v2_none"}}, offered)


@pytest.mark.tensorrt
def test_every_name_exists_in_tensorrt_rtx() -> None:
    assert not missing(used_names(AHEAD), offered_by("tensorrt_rtx"))
