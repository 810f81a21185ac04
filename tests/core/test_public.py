"""What `import geodetect` offers: a name more, less or elsewhere is a decision, not an accident."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest

import geodetect

PUBLIC = {
    "BatchOptions": "geodetect.batch.run",
    "BatchResult": "geodetect.batch.run",
    "DetectConfig": "geodetect.config",
    "DetectResult": "geodetect.pipeline",
    "Detector": "geodetect.pipeline",
    "Evaluation": "geodetect.evaluation.result",
    "MapObjects": "geodetect.evaluation.objects",
    "ModelPackage": "geodetect.package",
    "Scene": "geodetect.scene",
    "Window": "geodetect.window",
    "catalogue": "geodetect.registry",
    "detect": "geodetect.pipeline",
    "errors": None,  # a module
    "evaluate": "geodetect.vectors",
    "find_scenes": "geodetect.batch.sources",
    "forecast": "geodetect.outlook",
    "import_file": "geodetect.registry",
    "make_scene": "geodetect.demo.scene",
    "merge_results": "geodetect.mosaic",
    "networks": None,
    "open_package": "geodetect.package",
    "open_scene": "geodetect.scene",
    "pull": "geodetect.registry",
    "resolve": "geodetect.registry",
    "run_batch": "geodetect.batch.run",
}


def test_the_public_names_are_these():
    assert geodetect.__all__ == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(geodetect))


@pytest.mark.parametrize(("name", "module"), PUBLIC.items())
def test_every_public_name_is_there_and_explained(name, module):
    thing = getattr(geodetect, name)
    assert inspect.ismodule(thing) if module is None else thing.__module__ == module
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        assert not inspect.getdoc(thing).startswith(f"{name}("), "a dataclass without a docstring of its own"


def test_type_checkers_see_what_is_there():
    (block,) = (node for node in ast.parse(inspect.getsource(geodetect)).body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(seen) == geodetect.__all__
    for name, module in seen.items():
        assert getattr(importlib.import_module(module), name) is getattr(geodetect, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'detekt'"):
        _ = geodetect.detekt
