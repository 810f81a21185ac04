"""Many scenes: a list of them is worked through by processes or a cluster, and can be stopped and gone on with."""
