"""How QGIS draws the results: a colour a class, labels at large scale."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

LABEL_SCALE = 5000  # labels are drawn from 1:5000 on: farther out they would cover the objects
_CORNER = "make_point(x_min($geometry), y_max($geometry))"


def qml(classes: Sequence[str], colours: Sequence[str], field: str = "class", label: str | None = None) -> str:
    """Return a QGIS 3 style (QML) of categories by `field`: outlines in the class's colour, lightly filled.

    Args:
        classes: the field's values, drawn in this order in the legend.
        colours: "#rrggbb", one a class.
        field: the attribute that holds the class.
        label: QGIS expression of the label; None: class and score.
    """
    root = Element("qgis", version="3.22.0", styleCategories="Symbology|Labeling", labelsEnabled="1")
    renderer = SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr=field, forceraster="0", symbollevels="0", enableorderby="0"
    )
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for number, (name, colour) in enumerate(zip(classes, colours, strict=True)):
        SubElement(categories, "category", render="true", symbol=str(number), value=name, label=name, type="string")
        _symbol(symbols, str(number), colour)
    _labels(root, label or f'concat("{field}", \' \', format_number("score", 2))')
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="unicode")


def _symbol(symbols: Element, name: str, colour: str) -> None:
    """Add a symbol of two layers: a pale casing, which parts the outline from any ground, and the outline on it."""
    rgb = ",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    symbol = SubElement(symbols, "symbol", type="fill", name=name, alpha="1", clip_to_extent="1", force_rhr="0")
    _fill(symbol, color=f"{rgb},255", style="no", outline_color="255,255,255,150", outline_width="0.9")
    _fill(symbol, color=f"{rgb},26", style="solid", outline_color=f"{rgb},255", outline_width="0.5")


def _fill(symbol: Element, **options: str) -> None:
    layer = SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    store = SubElement(layer, "Option", type="Map")
    for key, value in {**options, "outline_style": "solid", "outline_width_unit": "MM", "joinstyle": "miter"}.items():
        SubElement(store, "Option", type="QString", name=key, value=value)
        SubElement(layer, "prop", k=key, v=value)  # QGIS before 3.22 reads these


def _labels(root: Element, expression: str) -> None:
    """Add labels that stand on the upper left corner of the box."""
    settings = SubElement(SubElement(root, "labeling", type="simple"), "settings", calloutType="simple")
    style = SubElement(
        settings,
        "text-style",
        fieldName=expression,
        isExpression="1",
        fontFamily="Sans Serif",
        fontSize="9",
        fontWeight="75",
        namedStyle="Bold",
        fontSizeUnit="Point",
        textColor="255,255,255,255",
        textOpacity="1",
    )
    SubElement(
        style,
        "text-buffer",
        bufferDraw="1",
        bufferSize="1",
        bufferSizeUnits="MM",
        bufferColor="20,20,20,255",
        bufferOpacity="1",
        bufferJoinStyle="128",
    )
    SubElement(
        settings,
        "placement",
        placement="1",
        quadOffset="2",
        yOffset="-0.6",
        offsetUnits="MM",
        geometryGenerator=_CORNER,
        geometryGeneratorEnabled="1",
        geometryGeneratorType="PointGeometry",
        layerType="PolygonGeometry",
        priority="5",
    )
    # To QGIS the least scale is the least denominator: "scaleMax" is where labels begin.
    scales = {"scaleVisibility": "1", "scaleMin": "0", "scaleMax": str(LABEL_SCALE)}
    SubElement(settings, "rendering", scales, drawLabels="1", displayAll="0", obstacle="0")
    properties = SubElement(SubElement(settings, "dd_properties"), "Option", type="Map")
    SubElement(properties, "Option", type="QString", name="name", value="")
    SubElement(properties, "Option", type="QString", name="type", value="collection")
    colour = SubElement(SubElement(properties, "Option", type="Map", name="properties"), "Option", type="Map", name="BufferColor")
    SubElement(colour, "Option", type="bool", name="active", value="true")
    SubElement(colour, "Option", type="QString", name="expression", value="@symbol_color")
    SubElement(colour, "Option", type="int", name="type", value="3")
