"""A sample scene, drawn in code, whose planes and ships are known: for `geodetect demo`, tests and benchmarks."""

from geodetect.demo.scene import CLASSES, Truth, find_scene, make_scene

__all__ = ["CLASSES", "Truth", "find_scene", "make_scene"]
