"""What is shown of paths and messages: no secrets, and in little time whatever the text."""

import time

import pytest

from geodetect.shown import shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://user:pw@host/x.tif?sig=SECRET, which", "https://host/x.tif, which"),
        ("(https://host/x.tif?sig=SECRET).", "(https://host/x.tif)."),
        ("1http://user:pw@host/x.tif?sig=SECRET#here", "1http://host/x.tif"),
        ("éhttps://user:pw@host/x.tif?sig", "éhttps://host/x.tif"),
        ("/vsicurl?header.key=SECRET&url=x failed", "/vsicurl failed"),
        ("what is a.b, really?", "what is a.b, really?"),
    ],
)
def test_no_secret_is_shown(text, told):
    assert shown(text) == told


@pytest.mark.parametrize("text", ["x", "x.", "http://", "a?x,", "a://b?", "@", "/vsi", "/vsicurl?", "?.", "a://."])
def test_a_long_text_takes_no_longer_than_it_is_long(text):
    begun = time.process_time()
    shown(text * 100_000)
    shown(f"http://x?{text * 100_000}x")
    assert time.process_time() - begun < 2
