"""The model packages that geodetect comes with, one folder each; no code."""
