"""How QGIS draws the results: a colour a class, labels at large scale."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

LABEL_SCALE = 10000  # labels are drawn from 1:10000 on: farther out they would cover the objects


def qml(classes: Sequence[str], colours: Sequence[str], field: str = "class", label: str | None = None) -> str:
    """Return a QGIS 3 style (QML) of categories by `field`: outlines in the class's colour, lightly filled.

    Args:
        classes: the field's values, drawn in this order in the legend.
        colours: "#rrggbb", one a class.
        field: the attribute that holds the class.
        label: QGIS expression of the label; None: class and score.
    """
    root = Element("qgis", version="3.22.0", styleCategories="Symbology|Labeling")
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
    rgb = ",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    symbol = SubElement(symbols, "symbol", type="fill", name=name, alpha="1", clip_to_extent="1", force_rhr="0")
    layer = SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    options = {
        "color": f"{rgb},30",
        "outline_color": f"{rgb},255",
        "outline_style": "solid",
        "outline_width": "0.5",
        "outline_width_unit": "MM",
        "style": "solid",
        "joinstyle": "miter",
    }
    store = SubElement(layer, "Option", type="Map")
    for key, value in options.items():
        SubElement(store, "Option", type="QString", name=key, value=value)
        SubElement(layer, "prop", k=key, v=value)  # QGIS before 3.26 reads these


def _labels(root: Element, expression: str) -> None:
    labeling = SubElement(root, "labeling", type="simple")
    settings = SubElement(labeling, "settings", calloutType="simple")
    style = SubElement(
        settings,
        "text-style",
        fieldName=expression,
        isExpression="1",
        fontSize="8",
        fontSizeUnit="Point",
        textColor="30,30,30,255",
        fontFamily="Sans Serif",
    )
    SubElement(
        style, "text-buffer", bufferDraw="1", bufferSize="0.8", bufferSizeUnits="MM", bufferColor="255,255,255,220"
    )
    SubElement(settings, "placement", placement="1", quadOffset="1", offsetType="0", priority="5")
    SubElement(
        settings,
        "rendering",
        scaleVisibility="1",
        scaleMin=str(LABEL_SCALE),
        scaleMax="1",
        obstacle="0",
        displayAll="0",
    )
