"""How QGIS draws the results: a colour a class, labels at large scale."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

LABEL_SCALE = 5000  # labels are drawn from 1:5000 on: farther out they would cover the objects

_CORNER = "make_point(x_min($geometry), y_max($geometry))"
_CLASS_COLOUR = "@symbol_color"
_TEXT_COLOUR = (  # dark on the pale colours of a palette, white on the others
    "if(0.30 * color_part(@symbol_color, 'red') + 0.59 * color_part(@symbol_color, 'green') "
    "+ 0.11 * color_part(@symbol_color, 'blue') > 150, '#141414', '#ffffff')"
)


def qml(
    classes: Sequence[str],
    colours: Sequence[str],
    field: str = "class",
    label: str | None = None,
    label_scale: int | None = LABEL_SCALE,
) -> str:
    """Return a QGIS 3 style (QML) of categories by `field`: outlines in the class's colour, lightly filled.

    Args:
        classes: the field's values, drawn in this order in the legend.
        colours: "#rrggbb", one a class.
        field: the attribute that holds the class.
        label: QGIS expression of the label; None: class and score.
        label_scale: labels are drawn from 1:label_scale on; None: always, for a layer without CRS has no scale.
    """
    root = Element("qgis", version="3.22.0", styleCategories="Symbology|Labeling", labelsEnabled="1")
    renderer = SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr=field, forceraster="0", symbollevels="0", enableorderby="0"
    )
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for number, (name, colour) in enumerate(zip(classes, colours, strict=True)):
        SubElement(categories, "category", render="true", symbol=str(number), value=name, label=name, type="string")
        _symbol(symbols, str(number), colour)
    _labels(root, label or f'concat("{field}", \' \', format_number("score", 2))', label_scale)
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="unicode")


def _symbol(symbols: Element, name: str, colour: str) -> None:
    """Add a symbol of two layers: a pale casing, which parts the outline from any ground, and the outline on it."""
    rgb = ",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    symbol = SubElement(symbols, "symbol", type="fill", name=name, alpha="1", clip_to_extent="1", force_rhr="0")
    # The casing fills nothing, but the colour of the first layer is what the labels get as @symbol_color.
    _fill(symbol, color=f"{rgb},255", style="no", outline_color="255,255,255,150", outline_width="0.9")
    _fill(symbol, color=f"{rgb},26", style="solid", outline_color=f"{rgb},255", outline_width="0.5")


def _fill(symbol: Element, **options: str) -> None:
    layer = SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    store = SubElement(layer, "Option", type="Map")
    for key, value in {**options, "outline_style": "solid", "outline_width_unit": "MM", "joinstyle": "miter"}.items():
        SubElement(store, "Option", type="QString", name=key, value=value)
        SubElement(layer, "prop", k=key, v=value)  # QGIS before 3.22 reads these


def _labels(root: Element, expression: str, scale: int | None) -> None:
    """Add labels in the class's colour that stand on the upper left corner of the box."""
    settings = SubElement(SubElement(root, "labeling", type="simple"), "settings", calloutType="simple")
    font = {"fontFamily": "Sans Serif", "fontSize": "9", "fontSizeUnit": "Point", "namedStyle": "Bold"}
    style = SubElement(settings, "text-style", font, fieldName=expression, isExpression="1", fontWeight="75")
    SubElement(style, "text-buffer", bufferDraw="1", bufferSize="1", bufferSizeUnits="MM", bufferJoinStyle="128")
    SubElement(
        settings,
        "placement",
        placement="1",  # at a point,
        quadOffset="2",  # above and to the right of it
        yOffset="-0.6",
        offsetUnits="MM",
        layerType="PolygonGeometry",
        geometryGenerator=_CORNER,
        geometryGeneratorEnabled="1",
        geometryGeneratorType="PointGeometry",
    )
    # To QGIS the least scale has the least denominator, so scaleMax is where labels begin.
    scales = {"scaleVisibility": str(int(scale is not None)), "scaleMin": "0", "scaleMax": str(scale or 0)}
    SubElement(settings, "rendering", scales, drawLabels="1", displayAll="0", obstacle="0")
    _expressions(settings, Color=_TEXT_COLOUR, BufferColor=_CLASS_COLOUR)


def _expressions(settings: Element, **expressions: str) -> None:
    """Let QGIS work out properties of the labels from expressions."""
    collection = SubElement(SubElement(settings, "dd_properties"), "Option", type="Map")
    SubElement(collection, "Option", type="QString", name="name", value="")
    properties = SubElement(collection, "Option", type="Map", name="properties")
    SubElement(collection, "Option", type="QString", name="type", value="collection")
    for name, expression in expressions.items():
        option = SubElement(properties, "Option", type="Map", name=name)
        SubElement(option, "Option", type="bool", name="active", value="true")
        SubElement(option, "Option", type="QString", name="expression", value=expression)
        SubElement(option, "Option", type="int", name="type", value="3")
