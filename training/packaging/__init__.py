"""From trained weights to what others run: model packages, INT8, converted Darknet files."""
