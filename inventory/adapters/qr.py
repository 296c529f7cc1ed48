"""QR codes as pictures for pages."""

from __future__ import annotations


def picture(text: str) -> str:
    """A QR code as the address of an image that carries itself: an SVG in a `data:` URI."""
    import segno

    return segno.make(text, error="m", micro=False).svg_data_uri(scale=4, border=4, dark="#000", light="#fff")
