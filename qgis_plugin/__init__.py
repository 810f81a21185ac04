"""GeoDetect for QGIS: planes and ships from a raster layer. The plugin drives the engine `geodetect` as a process."""


def classFactory(iface):  # noqa: N802 - QGIS looks for this name
    """Return the plugin; QGIS's entry point. Nothing of QGIS is imported before."""
    from .plugin import GeoDetectPlugin

    return GeoDetectPlugin(iface)
