"""No text in a table is taken for a formula, and none is lost."""

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geodetect.cells import plain_cell

hostile = st.text(st.sampled_from("=+-@'\" \t\r\n;,1a5e.\ufeff＝"), max_size=12)


@pytest.mark.parametrize(
    "text",
    [
        "=1+2",
        "+1+2",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\rx",
        "\tx",
        '"=1',
        "'=1",
        " =1",
        "\n\n@x",
        "\ufeff=1",
        "＝1+2",
        "a;=HYPERLINK(1)",
        "a\n=1",
        "--1",
        "-inf",
    ],
)
def test_a_formula_gets_an_apostrophe(text):
    assert plain_cell(text).replace("'", "") == text.replace("'", "")
    assert len(plain_cell(text)) > len(text)


@pytest.mark.parametrize("text", ["", "ship", "a=b", "x-1.tif", "mail@here", "'tis", '"quoted"', "a;b", "1e-5", "a b"])
def test_a_plain_text_stays(text):
    assert plain_cell(text) == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_stays_a_number(number):
    assert plain_cell(str(number)) == str(number)


@given(st.text() | hostile)
@example("-5\n")
@example("5;-5")
def test_no_cell_begins_like_a_formula_whatever_separates_columns(text):
    for cell in re.split(r"[;\t\r\n]", plain_cell(text)):
        begins = cell.lstrip(' "\ufeff').startswith(("=", "+", "-", "@", "＝"))
        assert not begins or plain_cell(text) == text.strip() == str(cell)
        if begins:
            float(cell)


@given(hostile, hostile)
def test_texts_that_differ_stay_different(one, other):
    assert (plain_cell(one) == plain_cell(other)) == (one == other)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | hostile)
def test_what_is_read_back_is_the_text_but_for_apostrophes(text):
    file = io.StringIO(newline="")
    csv.writer(file).writerow([plain_cell(text), 1.5])
    back, number = next(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert back.replace("'", "") == text.replace("'", "")
    assert float(number) == 1.5
