"""Rules that no linter checks: no cycles of imports, typed arguments, documented public functions, files in UTF-8."""

import ast
import inspect
import re
from pathlib import Path

import networkx

import snnb

PACKAGE = Path(snnb.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
PROJECT = Path(__file__).parents[1]


def _module(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path):
    """Modules and names that a file imports from the package, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_no_import_leads_back():
    """Also not inside a function or under TYPE_CHECKING."""
    modules = {_module(path) for path in FILES}
    # A package's own file collects what its files offer; it is no part of what they need.
    packages = {_module(path) for path in FILES if path.name == "__init__.py"}
    graph = networkx.DiGraph(
        (_module(path), name)
        for path in FILES
        for name in _imports(path)
        if name in modules - packages and _module(path) not in packages
    )
    assert [
        sorted(cycle)
        for cycle in networkx.strongly_connected_components(graph)
        if len(cycle) > 1
    ] == []
    assert graph.has_edge("snnb.stages.model", "snnb.core.errors")


def _public(body):
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def test_public_functions_say_what_they_take_and_return():
    vague = []
    for path, function in (
        (file, node)
        for file in FILES
        for node in _public(ast.parse(file.read_text()).body)
    ):
        arguments = [
            *function.args.posonlyargs,
            *function.args.args,
            *function.args.kwonlyargs,
        ]
        annotations = [argument.annotation for argument in arguments] + [
            function.returns
        ]
        named_nodes = [
            node
            for annotation in annotations
            if annotation is not None
            for node in ast.walk(annotation)
        ]
        if any(isinstance(node, ast.Name) and node.id == "Any" for node in named_nodes):
            vague.append(f"{path}, line {function.lineno}: {function.name}")
    assert vague == []


def test_the_documented_interface_says_what_it_takes():
    """Each function and method of docs/api.md with two or more arguments has a Parameters section."""
    offered_objects = [
        getattr(snnb, name) for name in snnb.__all__ if name != "__version__"
    ]
    classes = [item for item in offered_objects if inspect.isclass(item)]
    methods = [
        vars(item)[name]
        for item in classes
        for name in vars(item)
        if not name.startswith("_")
    ]
    functions = [
        getattr(item, "__func__", item) for item in (*methods, *offered_objects)
    ]
    documented_functions = [item for item in functions if inspect.isfunction(item)]
    silent = [
        item.__qualname__
        for item in documented_functions
        if len(set(inspect.signature(item).parameters) - {"self", "cls"}) > 1
        and "Parameters\n" not in item.__doc__
    ]
    assert silent == []
    assert len(documented_functions) > 30


def _opens_as_text(call):
    name = (
        call.func.attr
        if isinstance(call.func, ast.Attribute)
        else getattr(call.func, "id", None)
    )
    words = [
        argument.value if isinstance(argument, ast.Constant) else ""
        for argument in call.args
    ]
    if name == "open" and isinstance(
        call.func, ast.Attribute
    ):  # `path.open()`, `path.open("w")`, `gzip.open(path, "wt")`
        return (
            not words
            or any(re.fullmatch("[rwxa][+t]*", str(word)) for word in words[:1])
            or "wt" in words[1:]
        )
    if name in ("open", "fdopen"):
        return "b" not in str(words[1:2])
    return isinstance(call.func, ast.Attribute) and name in ("read_text", "write_text")


def test_text_is_read_and_written_as_utf_8():
    folders = [PROJECT / name for name in ("src", "docs", "benchmarks", "examples")]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    calls = [
        (
            f"{file}, line {node.lineno}",
            any(keyword.arg == "encoding" for keyword in node.keywords),
        )
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _opens_as_text(node)
    ]
    assert [place for place, has_encoding in calls if not has_encoding] == []
    assert len(calls) > 80
