"""Pointer and keyboard of a display: events that the X server makes, as it does for those of a real mouse.

They go where they would go for an analyst: to the window that lies on top, to a menu that is open, to a dialog that
blocks all others. Calls of a widget's methods would reach what nobody could click.
"""

from __future__ import annotations

import ctypes

LEFT = 1
NAMES = {"\n": "Return"}


class Hand:
    """Moves the pointer and presses buttons and keys; each call returns at once, before anything has happened."""

    def __init__(self) -> None:
        self._x11, self._test = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._x11.XStringToKeysym.restype = self._x11.XkbKeycodeToKeysym.restype = ctypes.c_ulong
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(None))
        if not self._display:
            raise RuntimeError("there is no display")

    def move(self, x: int, y: int) -> None:
        """Move the pointer to a place on the screen."""
        self._test.XTestFakeMotionEvent(self._display, -1, x, y, ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def button(self, down: bool) -> None:
        """Press or release the left button."""
        self._test.XTestFakeButtonEvent(self._display, LEFT, int(down), ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def keys(self, chord: str) -> None:
        """Press keys together and release them, such as "Control_L+Shift_L+a", by X's names."""
        codes = [self._code(self._keysym(name)) for name in chord.split("+")]
        self._press(codes)

    def letter(self, letter: str) -> None:
        """Type a letter, with Shift where the keyboard needs it."""
        keysym = self._keysym(NAMES[letter]) if letter in NAMES else ord(letter)  # Latin-1 as X numbers it
        code = self._code(keysym)
        plain = self._x11.XkbKeycodeToKeysym(self._display, code, 0, 0) == keysym
        self._press([code] if plain else [self._code(self._keysym("Shift_L")), code])

    def _press(self, codes: list[int]) -> None:
        for code in codes:
            self._test.XTestFakeKeyEvent(self._display, code, 1, ctypes.c_ulong(0))
        for code in reversed(codes):
            self._test.XTestFakeKeyEvent(self._display, code, 0, ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def _keysym(self, name: str) -> int:
        keysym = int(self._x11.XStringToKeysym(name.encode()))
        if not keysym:
            raise ValueError(f"X knows no key {name}")
        return keysym

    def _code(self, keysym: int) -> int:
        code = int(self._x11.XKeysymToKeycode(self._display, ctypes.c_ulong(keysym)))
        if not code:
            raise ValueError(f"the keyboard has no key for {chr(keysym)}")
        return code
